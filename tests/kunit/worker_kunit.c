// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may begin in the worker, who waits there for what, and that nobody waits for
 * ever.  The ops do nothing but say that their turn has come; but for the last one,
 * which says in whose name.
 */
#include "worker.c"
#include "fixture.h"

#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/file.h>

#define OPS		(4 * PIRN_TARGET_WORKERS)

static struct worker_world {
	struct pirn_channel	*ch;
	struct pirn_target	*target;
	struct pirn_op		*ops;
	u32			begun[OPS];	/* numbers of ops, as they began */
	u32			nr_begun;
	u32			running;
	u32			most_running;
} worker;

/* In the place of pirn_op_work(): the op stays in the worker. */
static void worker_begins(struct work_struct *work)
{
	struct pirn_op *op = container_of(work, struct pirn_op, work);

	worker.begun[worker.nr_begun++] = op - worker.ops;
}

/* The same, and it leaves a little later. */
static void worker_passes(struct work_struct *work)
{
	struct pirn_op *op = container_of(work, struct pirn_op, work);
	struct pirn_target *target = op->target;

	spin_lock_irq(&worker.ch->lock);
	worker_begins(work);
	worker.most_running = max(worker.most_running, ++worker.running);
	spin_unlock_irq(&worker.ch->lock);
	usleep_range(1000, 2000);
	spin_lock_irq(&worker.ch->lock);
	worker.running--;
	spin_unlock_irq(&worker.ch->lock);
	pirn_worker_next(op->channel, target);
}

static struct pirn_target *worker_target(struct kunit *test)
{
	/* not the framework's: the last reference frees it */
	struct pirn_target *target = kzalloc(sizeof(*target), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, target);
	refcount_set(&target->refs, 1);
	return target;
}

static void worker_setup(struct kunit *test, u32 active, work_func_t fn)
{
	u32 i;

	memset(&worker, 0, sizeof(worker));
	worker.ch = fixture_channel(test, OPS, 0);
	worker.target = worker_target(test);
	worker.ops = fixture_ops(test, worker.ch, OPS);
	for (i = 0; i < OPS; i++) {
		worker.ops[i].target = worker.target;
		INIT_WORK(&worker.ops[i].work, fn);
	}
	worker.ch->worker = alloc_workqueue("pirn_kunit", WQ_UNBOUND, active);
	KUNIT_ASSERT_NOT_NULL(test, worker.ch->worker);
}

static void worker_keeps_its_bound(struct kunit *test)
{
	struct pirn_target *other = worker_target(test);
	u32 i;

	worker_setup(test, 1, worker_begins);
	for (i = 0; i < OPS - 1; i++)
		KUNIT_EXPECT_EQ(test, pirn_worker_begin(&worker.ops[i]),
				i < PIRN_TARGET_WORKERS);
	KUNIT_EXPECT_EQ(test, worker.target->working, PIRN_TARGET_WORKERS);
	KUNIT_EXPECT_EQ(test, refcount_read(&worker.target->refs),
			1 + PIRN_TARGET_WORKERS);
	/* each target has its own */
	worker.ops[i].target = other;
	KUNIT_EXPECT_TRUE(test, pirn_worker_begin(&worker.ops[i]));
	KUNIT_EXPECT_EQ(test, other->working, 1);
	KUNIT_EXPECT_NULL(test, other->waiting.head);
	destroy_workqueue(worker.ch->worker);
	kfree(worker.target);
	kfree(other);
}

/* Oldest first, one for each that leaves, and others that come go behind them. */
static void worker_keeps_the_order(struct kunit *test)
{
	struct pirn_channel *ch;
	u32 i, begun;

	worker_setup(test, 1, worker_begins);
	ch = worker.ch;
	for (i = 0; i < OPS - 2; i++)
		pirn_punt(&worker.ops[i]);
	flush_workqueue(ch->worker);
	KUNIT_EXPECT_EQ(test, worker.nr_begun, PIRN_TARGET_WORKERS);
	KUNIT_EXPECT_EQ(test, ch->counters.worker_punts, OPS - 2);
	for (begun = PIRN_TARGET_WORKERS + 1; begun <= OPS; begun++) {
		if (i < OPS)
			pirn_punt(&worker.ops[i++]);
		pirn_worker_next(ch, worker.target);
		flush_workqueue(ch->worker);
		KUNIT_ASSERT_EQ(test, worker.nr_begun, begun);
		KUNIT_ASSERT_EQ(test, worker.target->working,
				PIRN_TARGET_WORKERS);
	}
	for (i = 0; i < OPS; i++)
		KUNIT_EXPECT_EQ(test, worker.begun[i], i);
	/* none waits: what leaves makes room */
	for (i = 1; i <= PIRN_TARGET_WORKERS; i++) {
		pirn_worker_next(ch, worker.target);
		KUNIT_EXPECT_EQ(test, worker.target->working,
				PIRN_TARGET_WORKERS - i);
	}
	KUNIT_EXPECT_EQ(test, refcount_read(&worker.target->refs), 1);
	/* and who comes then begins at once */
	pirn_punt(&worker.ops[0]);
	flush_workqueue(ch->worker);
	KUNIT_EXPECT_EQ(test, worker.target->working, 1);
	destroy_workqueue(ch->worker);
	kfree(worker.target);
}

/*
 * A channel that is closed: the table's reference goes, the queue is destroyed, and
 * all that waited has had its turn, never more at a time than may.
 */
static void worker_drains(struct kunit *test)
{
	u32 i;

	worker_setup(test, OPS, worker_passes);
	for (i = 0; i < OPS; i++)
		pirn_punt(&worker.ops[i]);
	pirn_target_put(worker.target);
	destroy_workqueue(worker.ch->worker);
	KUNIT_EXPECT_EQ(test, worker.nr_begun, OPS);
	KUNIT_EXPECT_EQ(test, worker.running, 0);
	KUNIT_EXPECT_LE(test, worker.most_running, PIRN_TARGET_WORKERS);
	KUNIT_EXPECT_GT(test, worker.most_running, 1);
}

static long worker_cred_uses;

static int worker_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	worker_cred_uses = atomic_long_read(&current_cred()->usage);
	return 0;
}

static const struct file_operations worker_fops = { .fsync = worker_fsync };

/*
 * Who completes the op may free its identity, while the worker still is who it
 * says: what override_creds() takes, which is nothing in newer kernels, is not all.
 */
static void worker_holds_who_it_is(struct kunit *test)
{
	struct cred *cred = prepare_creds();
	struct pirn_ident ident = { .cred = cred };
	const struct cred *own;
	long uses;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	own = override_creds(cred);
	uses = atomic_long_read(&cred->usage);
	revert_creds(own);

	worker_setup(test, 1, pirn_op_work);
	worker.target->file = anon_inode_getfile("[pirn-kunit]", &worker_fops,
						 NULL, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(worker.target->file));
	worker.ops[0].code = PIRN_OP_FSYNC;
	worker.ops[0].ident = &ident;
	worker.ch->in_flight = 1;
	pirn_punt(&worker.ops[0]);
	destroy_workqueue(worker.ch->worker);
	KUNIT_EXPECT_EQ(test, worker.ch->counters.completed, 1);
	KUNIT_EXPECT_EQ(test, worker_cred_uses, uses + 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&cred->usage), 1);
	fput(worker.target->file);
	kfree(worker.target);
	put_cred(cred);
}

static struct kunit_case worker_cases[] = {
	KUNIT_CASE(worker_keeps_its_bound),
	KUNIT_CASE(worker_keeps_the_order),
	KUNIT_CASE(worker_drains),
	KUNIT_CASE(worker_holds_who_it_is),
	{}
};

static struct kunit_suite worker_suite = {
	.name = "pirn_worker",
	.test_cases = worker_cases,
};

kunit_test_suite(worker_suite);
