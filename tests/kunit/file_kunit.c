// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ops on a file, whose read and write are this test's own: when they end, with what,
 * and whose the op is meanwhile.
 */
#include "file.c"
#include "fixture.h"

#include <linux/anon_inodes.h>
#include <linux/file.h>

static struct file_world {
	struct pirn_channel	*ch;
	struct pirn_op		*op;
	struct kiocb		*iocb;		/* of the last call */
	bool			ends;		/* inside the call */
	ssize_t			ret;
	u64			completed;	/* as the call returned */
} world;

/* As a file system whose device is done before it is. */
static ssize_t file_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	world.iocb = iocb;
	if (world.ends)
		iocb->ki_complete(iocb, iov_iter_count(iter));
	world.completed = world.ch->counters.completed;
	return world.ret;
}

static const struct file_operations file_fops = {
	.read_iter	= file_iter,
	.write_iter	= file_iter,
};

static int file_init(struct kunit *test)
{
	struct {
		struct pirn_target	target;
		struct pirn_pool_slot	slot;
		struct pirn_pool	pool;
		struct pirn_ident	ident;
		struct page		*page;
		u32			run;
	} *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct pirn_op *op;

	KUNIT_ASSERT_NOT_NULL(test, w);
	memset(&world, 0, sizeof(world));
	world.ch = fixture_channel(test, 4, 0);
	op = fixture_ops(test, world.ch, 1);
	world.ret = -EIOCBQUEUED;
	w->target.file = anon_inode_getfile("[pirn-kunit]", &file_fops, NULL,
					    O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(w->target.file));
	w->page = ZERO_PAGE(0);
	w->pool.pages = &w->page;
	w->pool.run_of = &w->run;
	w->slot.pool = &w->pool;
	op->target = &w->target;
	op->slot = &w->slot;
	op->ident = &w->ident;
	op->len = 512;
	world.op = op;
	return 0;
}

static void file_exit(struct kunit *test)
{
	if (world.op)
		fput(world.op->target->file);
}

static void file_issue(u8 code)
{
	world.op->code = code;
	world.ch->in_flight++;
	world.completed = 0;
	pirn_file_rw(world.op, false);
	world.ch->done.head = NULL;
}

/* The file system still has the op in its hands. */
static void file_op_is_kept_for_the_call(struct kunit *test)
{
	struct pirn_channel *ch = world.ch;

	world.ends = true;
	file_issue(PIRN_OP_READ);
	KUNIT_EXPECT_EQ(test, world.completed, 0);
	KUNIT_EXPECT_EQ(test, ch->counters.completed, 1);
	KUNIT_EXPECT_EQ(test, ch->cq[0].res, 512);
	file_issue(PIRN_OP_WRITE);
	KUNIT_EXPECT_EQ(test, world.completed, 1);
	KUNIT_EXPECT_EQ(test, ch->counters.completed, 2);
	KUNIT_EXPECT_EQ(test, ch->cq[1].res, 512);
	KUNIT_EXPECT_EQ(test, ch->in_flight, 0);
}

/* The device still has it. */
static void file_op_is_kept_for_the_completion(struct kunit *test)
{
	struct pirn_channel *ch = world.ch;

	file_issue(PIRN_OP_READ);
	KUNIT_EXPECT_EQ(test, ch->counters.completed, 0);
	world.iocb->ki_complete(world.iocb, -EIO);
	KUNIT_EXPECT_EQ(test, ch->counters.completed, 1);
	KUNIT_EXPECT_EQ(test, ch->cq[0].res, -EIO);
}

static void file_call_is_not_restarted(struct kunit *test)
{
	static const int errs[] = {
		-ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND,
		-ERESTART_RESTARTBLOCK,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		world.ret = errs[i];
		file_issue(PIRN_OP_READ);
		KUNIT_EXPECT_EQ(test, world.ch->cq[i].res, -EINTR);
	}
}

static struct kunit_case file_cases[] = {
	KUNIT_CASE(file_op_is_kept_for_the_call),
	KUNIT_CASE(file_op_is_kept_for_the_completion),
	KUNIT_CASE(file_call_is_not_restarted),
	{}
};

static struct kunit_suite file_suite = {
	.name = "pirn_file",
	.init = file_init,
	.exit = file_exit,
	.test_cases = file_cases,
};

kunit_test_suite(file_suite);
