// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a bio came back with, and what that is to user space, or to whom else.
 */
#include "block.c"
#include "fixture.h"

struct bio_end {
	u8		code;
	blk_status_t	status;
	s32		res;
};

/* A device without a cache has nothing to flush, and says so in this way at times. */
static const struct bio_end bio_ends[] = {
	{ PIRN_OP_READ, BLK_STS_OK, 512 },
	{ PIRN_OP_READ, BLK_STS_IOERR, -EIO },
	{ PIRN_OP_READ, BLK_STS_NOTSUPP, -EOPNOTSUPP },
	{ PIRN_OP_WRITE, BLK_STS_NOSPC, -ENOSPC },
	{ PIRN_OP_WRITE, BLK_STS_NOTSUPP, -EOPNOTSUPP },
	{ PIRN_OP_WRITE, BLK_STS_AGAIN, -EAGAIN },
	{ PIRN_OP_FSYNC, BLK_STS_OK, 0 },
	{ PIRN_OP_FSYNC, BLK_STS_NOTSUPP, 0 },
	{ PIRN_OP_FSYNC, BLK_STS_IOERR, -EIO },
	{ PIRN_OP_FDATASYNC, BLK_STS_NOTSUPP, 0 },
	{ PIRN_OP_FDATASYNC, BLK_STS_TIMEOUT, -ETIMEDOUT },
};

static void bio_ends_with_its_errno(struct kunit *test)
{
	struct pirn_channel *ch = fixture_channel(test, 16, 0);
	struct pirn_op *op = fixture_ops(test, ch, 1);
	struct pirn_target target = {};
	struct pirn_pool_slot slot = {};
	struct pirn_ident ident = {};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bio_ends); i++) {
		op->code = bio_ends[i].code;
		op->len = pirn_op_moves_data(op) ? 512 : 0;
		op->target = &target;
		op->slot = pirn_op_moves_data(op) ? &slot : NULL;
		op->ident = &ident;
		bio_init(&op->bio, NULL, NULL, 0, REQ_OP_READ);
		op->bio.bi_status = bio_ends[i].status;
		ch->in_flight++;
		pirn_bio_end_io(&op->bio);
		ch->done.head = NULL;
		KUNIT_ASSERT_EQ(test, ch->cq_tail, i + 1);
		KUNIT_EXPECT_EQ_MSG(test, ch->cq[i].res, bio_ends[i].res,
				    "op %u, status %u", bio_ends[i].code,
				    (__force u32)bio_ends[i].status);
	}
	KUNIT_EXPECT_EQ(test, ch->in_flight, 0);
}

/*
 * A bio without room is the submitter's to learn of only inside the submit_bio() of
 * its own op: anywhere else the worker has it.
 */
static void who_learns_that_there_is_no_room(struct kunit *test)
{
	struct pirn_channel *ch = fixture_channel(test, 16, 0);
	struct pirn_op *ops = fixture_ops(test, ch, 2);
	/* as many in the worker as may be: who comes waits in the list */
	struct pirn_target target = { .working = U32_MAX };
	u32 i;

	for (i = 0; i < 3; i++) {
		ch->submitter = i == 1 ? NULL : current;
		ch->issuing = i == 2 ? &ops[1] : &ops[0];
		ch->again = false;
		target.waiting.head = NULL;
		ops[0].code = PIRN_OP_READ;
		ops[0].nowait = true;
		ops[0].target = &target;
		bio_init(&ops[0].bio, NULL, NULL, 0, REQ_OP_READ);
		ops[0].bio.bi_status = BLK_STS_AGAIN;
		pirn_bio_end_io(&ops[0].bio);
		KUNIT_EXPECT_EQ(test, ch->again, !i);
		KUNIT_EXPECT_PTR_EQ(test, target.waiting.head,
				    i ? &ops[0] : NULL);
	}
	KUNIT_EXPECT_EQ(test, ch->cq_tail, 0);
}

static struct kunit_case block_cases[] = {
	KUNIT_CASE(bio_ends_with_its_errno),
	KUNIT_CASE(who_learns_that_there_is_no_room),
	{}
};

static struct kunit_suite block_suite = {
	.name = "pirn_block",
	.test_cases = block_cases,
};

kunit_test_suite(block_suite);
