/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A channel without a file and a device, for what touches neither.  The test
 * framework frees it when the case is over.  Included after a file of kmod/.
 */
#ifndef PIRN_KUNIT_FIXTURE_H
#define PIRN_KUNIT_FIXTURE_H

#include <kunit/test.h>

static inline struct pirn_channel *fixture_channel(struct kunit *test,
						   u32 entries, u32 results)
{
	struct pirn_channel *ch = kunit_kzalloc(test, sizeof(*ch), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ch);
	ch->header = kunit_kzalloc(test, sizeof(*ch->header), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->header);
	/* Of exactly these lengths: KASAN sees whoever goes beyond. */
	ch->cq = kunit_kcalloc(test, entries, sizeof(*ch->cq), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->cq);
	ch->results = kunit_kcalloc(test, max(results, 1u),
				    sizeof(*ch->results), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->results);
	ch->sq_entries = entries;
	ch->cq_entries = entries;
	ch->nr_results = results;
	ch->nr_joins = min(results, entries / 2);
	spin_lock_init(&ch->lock);
	init_waitqueue_head(&ch->poll_wait);
	return ch;
}

static inline struct pirn_op *fixture_ops(struct kunit *test,
					  struct pirn_channel *ch, u32 nr)
{
	struct pirn_op *ops = kunit_kcalloc(test, nr, sizeof(*ops), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; i < nr; i++)
		ops[i].channel = ch;
	return ops;
}

/* A sequence that is the same in each run. */
static inline u32 fixture_random(u32 *state, u32 below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

#endif /* PIRN_KUNIT_FIXTURE_H */
