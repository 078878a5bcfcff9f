// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way back: where CQEs go, what is counted, and how ops return.
 */
#include "complete.c"
#include "fixture.h"

#define CQ_ENTRIES	4u

struct complete_world {
	struct pirn_channel	*ch;
	struct pirn_target	target;
	struct pirn_pool_slot	slot;
	struct pirn_ident	ident;
	struct pirn_op		*ops;
};

static int complete_init(struct kunit *test)
{
	struct complete_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->ch = fixture_channel(test, CQ_ENTRIES, 0);
	w->ops = fixture_ops(test, w->ch, CQ_ENTRIES);
	test->priv = w;
	return 0;
}

static void complete_op(struct complete_world *w, u32 nr, u8 code, u64 cookie,
			s32 res)
{
	struct pirn_op *op = &w->ops[nr];

	op->code = code;
	op->cookie = cookie;
	op->target = code == PIRN_OP_NOP ? NULL : &w->target;
	op->slot = pirn_op_moves_data(op) ? &w->slot : NULL;
	op->ident = &w->ident;
	w->ch->in_flight++;
	pirn_complete(op, res);
}

/* A slot for each, in order, also across 2^32. */
static void complete_fills_the_cq_in_order(struct kunit *test)
{
	struct complete_world *w = test->priv;
	u32 tail = U32_MAX - 5, i;

	w->ch->cq_tail = tail;
	for (i = 0; i < 3 * CQ_ENTRIES; i++) {
		complete_op(w, i % CQ_ENTRIES, PIRN_OP_NOP, 1000 + i, -(s32)i);
		w->ch->done.head = NULL;
		KUNIT_EXPECT_EQ(test, w->ch->cq[(tail + i) % CQ_ENTRIES].cookie,
				1000 + i);
		KUNIT_EXPECT_EQ(test, w->ch->cq[(tail + i) % CQ_ENTRIES].res,
				-(s32)i);
		KUNIT_EXPECT_EQ(test, w->ch->header->cq_tail, tail + i + 1);
	}
	KUNIT_EXPECT_EQ(test, w->ch->in_flight, 0);
}

static void complete_counts(struct kunit *test)
{
	struct complete_world *w = test->priv;
	struct pirn_counters *c = &w->ch->counters;

	w->ch->cpu = U32_MAX;	/* none is this one */
	complete_op(w, 0, PIRN_OP_READ, 1, 4096);
	complete_op(w, 1, PIRN_OP_WRITE, 2, 512);
	complete_op(w, 2, PIRN_OP_READ, 3, -EIO);
	complete_op(w, 3, PIRN_OP_FSYNC, 4, 0);
	KUNIT_EXPECT_EQ(test, c->completed, 4);
	KUNIT_EXPECT_EQ(test, c->failed, 1);
	KUNIT_EXPECT_EQ(test, c->bytes_read, 4096);
	KUNIT_EXPECT_EQ(test, c->bytes_written, 512);
	KUNIT_EXPECT_EQ(test, c->remote_completions, 4);
	KUNIT_EXPECT_EQ(test, w->target.done, 4);
	KUNIT_EXPECT_EQ(test, w->slot.done, 3);
	KUNIT_EXPECT_EQ(test, w->ident.done, 4);
}

static void complete_gives_ops_back(struct kunit *test)
{
	struct complete_world *w = test->priv;
	struct pirn_op *op;
	u32 i, nr = 0;

	for (i = 0; i < CQ_ENTRIES; i++)
		complete_op(w, i, PIRN_OP_NOP, i, 0);
	KUNIT_EXPECT_PTR_EQ(test, w->ch->done.head, &w->ops[CQ_ENTRIES - 1]);
	KUNIT_EXPECT_PTR_EQ(test, w->ch->done.tail, &w->ops[0]);
	for (op = w->ch->done.head; op; op = op->next)
		nr++;
	KUNIT_EXPECT_EQ(test, nr, CQ_ENTRIES);
}

/* Times: into the histogram what came to the device, and nothing else. */
static void complete_takes_times(struct kunit *test)
{
	struct complete_world *w = test->priv;
	struct pirn_channel *ch = w->ch;
	u64 sum = 0;
	u32 i;

	ch->times = true;
	ch->histogram = kunit_kcalloc(test, PIRN_HISTOGRAM_BUCKETS,
				      sizeof(*ch->histogram), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->histogram);
	w->ops[0].began = pirn_now(ch) - NSEC_PER_SEC;
	complete_op(w, 0, PIRN_OP_READ, 1, 0);
	complete_op(w, 1, PIRN_OP_NOP, 2, 0);
	KUNIT_EXPECT_GE(test, ch->cq[0].device, NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, ch->cq[0].published - ch->cq[0].device,
			w->ops[0].began);
	KUNIT_EXPECT_EQ(test, ch->cq[1].device, 0);
	KUNIT_EXPECT_GE(test, ch->cq[1].published, ch->cq[0].published);
	i = pirn_histogram_bucket(ch->cq[0].device);
	KUNIT_EXPECT_EQ(test, ch->histogram[i], 1);
	for (i = 0; i < PIRN_HISTOGRAM_BUCKETS; i++)
		sum += ch->histogram[i];
	KUNIT_EXPECT_EQ(test, sum, 1);
}

static struct kunit_case complete_cases[] = {
	KUNIT_CASE(complete_fills_the_cq_in_order),
	KUNIT_CASE(complete_counts),
	KUNIT_CASE(complete_gives_ops_back),
	KUNIT_CASE(complete_takes_times),
	{}
};

static struct kunit_suite complete_suite = {
	.name = "pirn_complete",
	.init = complete_init,
	.test_cases = complete_cases,
};

kunit_test_suite(complete_suite);
