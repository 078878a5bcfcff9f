// SPDX-License-Identifier: GPL-2.0-only
/*
 * Credits: how many SQEs an ENTER may consume, and what it returns.
 */
#include "enter.c"
#include "fixture.h"

static u32 credits_of(struct pirn_channel *ch, u32 asked)
{
	spin_lock_irq(&ch->lock);
	pirn_reserve(ch, asked);
	spin_unlock_irq(&ch->lock);
	return ch->credits;
}

static void credits_are_what_is_free(struct kunit *test)
{
	static const u32 starts[] = { 0, 5, U32_MAX - 3, U32_MAX };
	const u32 entries = 8;
	struct pirn_channel *ch = fixture_channel(test, entries, 0);
	u32 used, unread, asked, given;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(starts) * (entries + 1); i++)
		for (used = 0; used <= entries; used++)
			for (unread = 0; unread <= used; unread++) {
				asked = i % (entries + 1);
				ch->header->cq_head = starts[i / (entries + 1)];
				ch->cq_tail = ch->header->cq_head + unread;
				ch->in_flight = used - unread;
				given = credits_of(ch, asked);
				KUNIT_ASSERT_EQ(test, given,
						min(asked, entries - used));
				KUNIT_ASSERT_EQ(test, ch->in_flight,
						used - unread + given);
			}
}

/* A JOIN may need two. */
static void credits_for_joins_are_twice_as_many(struct kunit *test)
{
	struct pirn_channel *ch = fixture_channel(test, 8, 8);

	KUNIT_EXPECT_EQ(test, credits_of(ch, 3), 6);
	ch->in_flight = 0;
	KUNIT_EXPECT_EQ(test, credits_of(ch, 5), 8);
	KUNIT_EXPECT_EQ(test, credits_of(ch, 1), 0);
}

static void credits_of_a_head_that_lies(struct kunit *test)
{
	struct pirn_channel *ch = fixture_channel(test, 8, 0);

	ch->cq_tail = 100;
	ch->header->cq_head = 101;
	KUNIT_EXPECT_EQ(test, credits_of(ch, 8), 0);
	ch->header->cq_head = 91;
	KUNIT_EXPECT_EQ(test, credits_of(ch, 8), 0);
	ch->header->cq_head = 92;
	KUNIT_EXPECT_EQ(test, credits_of(ch, 8), 0);
	ch->header->cq_head = 93;
	KUNIT_EXPECT_EQ(test, credits_of(ch, 8), 1);
}

static void credits_bring_ops_that_are_done(struct kunit *test)
{
	struct pirn_channel *ch = fixture_channel(test, 8, 0);
	struct pirn_op *ops = fixture_ops(test, ch, 3);

	ch->free = &ops[2];
	ops[0].next = &ops[1];
	ch->done.head = &ops[0];
	ch->done.tail = &ops[1];
	credits_of(ch, 1);
	KUNIT_EXPECT_PTR_EQ(test, ch->free, &ops[0]);
	KUNIT_EXPECT_PTR_EQ(test, ops[1].next, &ops[2]);
	KUNIT_EXPECT_NULL(test, ops[2].next);
	KUNIT_EXPECT_NULL(test, ch->done.head);
}

static void credits_end_of_a_wait(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pirn_waited(0, PIRN_ENDED_SIGNAL), -EINTR);
	KUNIT_EXPECT_EQ(test, pirn_waited(0, PIRN_ENDED_DEADLINE), -ETIME);
	KUNIT_EXPECT_EQ(test, pirn_waited(3, PIRN_ENDED_SIGNAL),
			3 | PIRN_ENDED_SIGNAL);
	KUNIT_EXPECT_EQ(test, pirn_waited(0, PIRN_ENDED_CQE | PIRN_ENDED_SIGNAL),
			PIRN_ENDED_CQE | PIRN_ENDED_SIGNAL);
	KUNIT_EXPECT_EQ(test, pirn_waited(0, PIRN_ENDED_NOTIFY),
			PIRN_ENDED_NOTIFY);
	KUNIT_EXPECT_EQ(test, pirn_waited(0, PIRN_ENDED_WATCH),
			PIRN_ENDED_WATCH);
}

static struct kunit_case credits_cases[] = {
	KUNIT_CASE(credits_are_what_is_free),
	KUNIT_CASE(credits_for_joins_are_twice_as_many),
	KUNIT_CASE(credits_of_a_head_that_lies),
	KUNIT_CASE(credits_bring_ops_that_are_done),
	KUNIT_CASE(credits_end_of_a_wait),
	{}
};

static struct kunit_suite credits_suite = {
	.name = "pirn_credits",
	.test_cases = credits_cases,
};

kunit_test_suite(credits_suite);
