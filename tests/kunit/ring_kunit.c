// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmod/ring_ops.h as the kernel compiles it, beside positions that never wrap.
 */
#include "pirn.h"
#include "fixture.h"

static void ring_agrees_with_positions_that_never_wrap(struct kunit *test)
{
	u64 start, tail, head;
	u32 entries, unread, in_flight, seed = 1;
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		entries = 1u << fixture_random(&seed, 15);
		start = (1ull << 32) - fixture_random(&seed, 2 * entries);
		unread = fixture_random(&seed, entries + 1);
		in_flight = fixture_random(&seed, entries - unread + 1);
		head = start;
		tail = start + unread;
		KUNIT_ASSERT_EQ(test, pirn_ring_unread(tail, head, entries),
				unread);
		KUNIT_ASSERT_EQ(test, pirn_ring_slot(tail, entries),
				(u32)(tail % entries));
		KUNIT_ASSERT_EQ(test, pirn_ring_credits(tail, head, in_flight,
							entries),
				entries - unread - in_flight);
	}
}

static void ring_head_that_lies_is_a_full_ring(struct kunit *test)
{
	static const u32 tails[] = { 0, 1, 7, 8, U32_MAX - 8, U32_MAX };
	const u32 entries = 8;
	unsigned int i;
	u32 lie, ahead, behind;

	for (i = 0; i < ARRAY_SIZE(tails); i++) {
		for (lie = 1; lie < 100; lie++) {
			ahead = tails[i] + lie;
			behind = tails[i] - entries - lie;
			KUNIT_EXPECT_EQ(test, pirn_ring_credits(tails[i], ahead,
								0, entries), 0);
			KUNIT_EXPECT_EQ(test, pirn_ring_unread(tails[i], behind,
							       entries),
					entries);
		}
	}
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(ring_agrees_with_positions_that_never_wrap),
	KUNIT_CASE(ring_head_that_lies_is_a_full_ring),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "pirn_ring",
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);
