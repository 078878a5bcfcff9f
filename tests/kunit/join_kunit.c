// SPDX-License-Identifier: GPL-2.0-only
/*
 * Joins: which are opened, and the CQEs and entries of the CQ each comes to.
 */
#include "join.c"
#include "fixture.h"

#define JOIN_ENTRIES	16u
#define JOIN_RESULTS	8u

static int join_init(struct kunit *test)
{
	struct pirn_channel *ch = fixture_channel(test, JOIN_ENTRIES,
						  JOIN_RESULTS);

	KUNIT_ASSERT_EQ(test, pirn_joins_alloc(ch, NUMA_NO_NODE), 0);
	test->priv = ch;
	return 0;
}

static void join_exit(struct kunit *test)
{
	pirn_joins_free(test->priv);
}

/* As an ENTER that has reserved all there is. */
static int join_open(struct kunit *test, struct pirn_op *op, u32 nr,
		     u32 threshold, u64 first, u32 asked)
{
	struct pirn_channel *ch = test->priv;

	ch->credits = JOIN_ENTRIES - ch->in_flight;
	op->len = nr;
	op->threshold = threshold;
	op->offset = first;
	return pirn_join_open(op, asked);
}

static void join_refused(struct kunit *test)
{
	struct pirn_channel *ch = test->priv;
	struct pirn_op *op = fixture_ops(test, ch, 1);

	KUNIT_EXPECT_EQ(test, join_open(test, op, 0, 1, 0, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 4, 0, 0, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 4, 5, 0, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 4, 4, 5, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 4, 4, U64_MAX, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 4, 4, 0, 4), -EINVAL);
	KUNIT_EXPECT_NULL(test, ch->joining);
	KUNIT_EXPECT_EQ(test, ch->join_entries, 0);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(ch->result_map, JOIN_RESULTS));

	/* Four members, and two CQEs as the threshold is less. */
	op->len = 4;
	op->threshold = 3;
	op->offset = 0;
	ch->credits = 5;
	KUNIT_EXPECT_EQ(test, pirn_join_open(op, 5), -EAGAIN);
	ch->credits = 6;
	KUNIT_EXPECT_EQ(test, pirn_join_open(op, 5), 0);
	KUNIT_EXPECT_EQ(test, ch->credits, 5);
	KUNIT_EXPECT_EQ(test, ch->join_entries, 2);
}

static void join_slots_are_taken_once(struct kunit *test)
{
	struct pirn_channel *ch = test->priv;
	struct pirn_op *op = fixture_ops(test, ch, 1);

	KUNIT_ASSERT_EQ(test, join_open(test, op, 3, 3, 2, 9), 0);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 1, 1, 2, 9), -EBUSY);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 1, 1, 4, 9), -EBUSY);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 3, 3, 0, 9), -EBUSY);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 8, 8, 0, 9), -EBUSY);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 2, 2, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, join_open(test, op, 3, 3, 5, 9), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(ch->result_map, JOIN_RESULTS),
			JOIN_RESULTS);
}

static u32 join_member_ends(struct pirn_op *op, s32 res)
{
	u32 due;

	spin_lock_irq(&op->channel->lock);
	due = pirn_join_end(op, res, 11, 22);
	/* what pirn_complete() takes for the member */
	op->channel->in_flight--;
	spin_unlock_irq(&op->channel->lock);
	return due;
}

/* The flags due when member i of nr ended, ok of these i + 1 well: counted anew. */
static u32 join_expected(u32 nr, u32 threshold, u32 i, u32 ok, bool *fired)
{
	u32 failed = i + 1 - ok, flags = 0;

	if (!*fired && (ok >= threshold || failed > nr - threshold) &&
	    (threshold < nr || i + 1 == nr)) {
		*fired = true;
		flags |= PIRN_CQE_THRESHOLD;
	}
	return i + 1 == nr ? flags | PIRN_CQE_DRAINED : flags;
}

static void join_play(struct kunit *test, u32 nr, u32 threshold, u32 successes)
{
	struct pirn_channel *ch = test->priv;
	struct pirn_op jop = { .channel = ch, .cookie = 77 };
	struct pirn_op op = { .channel = ch };
	u32 i, ok = 0, flags, first = JOIN_RESULTS - nr;
	const struct pirn_join *join;
	bool fired = false;

	KUNIT_ASSERT_EQ(test, join_open(test, &jop, nr, threshold, first,
					nr + 1), 0);
	ch->in_flight = nr + pirn_join_entries(nr, threshold);
	op.join = ch->joining;
	join = op.join;
	for (i = 0; i < nr; i++) {
		s32 res = successes >> i & 1 ? 512 : -EIO;

		ok += res >= 0;
		op.result = first + i;
		ch->results[op.result].flags = 0;
		op.cookie = i;
		flags = join_expected(nr, threshold, i, ok, &fired);
		KUNIT_ASSERT_EQ(test, join_member_ends(&op, res), flags);
		KUNIT_ASSERT_EQ(test, ch->results[first + i].res, res);
		KUNIT_ASSERT_EQ(test, ch->results[first + i].cookie, i);
		KUNIT_ASSERT_EQ(test, ch->results[first + i].flags,
				PIRN_CQE_DONE);
		KUNIT_ASSERT_EQ(test, ch->results[first + i].device, 11);
		KUNIT_ASSERT_EQ(test, ch->results[first + i].published, 22);
		/* what a CQE would say */
		KUNIT_ASSERT_EQ(test, join->cookie, 77);
		KUNIT_ASSERT_EQ(test, join->state.succeeded, ok);
	}
	KUNIT_ASSERT_TRUE(test, fired);
	KUNIT_ASSERT_EQ(test, ch->join_entries, 0);
	KUNIT_ASSERT_EQ(test, ch->in_flight, 0);
	KUNIT_ASSERT_TRUE(test, bitmap_empty(ch->result_map, JOIN_RESULTS));
}

/* Each size, threshold and pattern of success and failure, to the end. */
static void join_drains_always(struct kunit *test)
{
	u32 nr, threshold, successes;

	for (nr = 1; nr <= 6; nr++)
		for (threshold = 1; threshold <= nr; threshold++)
			for (successes = 0; successes < 1u << nr; successes++)
				join_play(test, nr, threshold, successes);
}

static struct kunit_case join_cases[] = {
	KUNIT_CASE(join_refused),
	KUNIT_CASE(join_slots_are_taken_once),
	KUNIT_CASE(join_drains_always),
	{}
};

static struct kunit_suite join_suite = {
	.name = "pirn_join",
	.init = join_init,
	.exit = join_exit,
	.test_cases = join_cases,
};

kunit_test_suite(join_suite);
