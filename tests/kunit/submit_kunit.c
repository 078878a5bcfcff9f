// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an SQE may say: each bit of one, for each op, beside a table.
 */
#include "submit.c"
#include "fixture.h"

#define ANY64	(~0ull)
#define ANY32	(~0u)

/* Which bits an op may have set.  Its indices are tried apart. */
struct sqe_rule {
	u8		op;
	bool		target;
	bool		pool;
	struct pirn_sqe	free;
};

static const struct sqe_rule sqe_rules[] = {
	{ .op = PIRN_OP_NOP, .free = { .cookie = ANY64 } },
	{
		.op = PIRN_OP_READ, .target = true, .pool = true,
		.free = { .flags = PIRN_SQE_NOMERGE, .cookie = ANY64,
			  .offset = ANY64, .pool_offset = ANY64, .len = ANY32 },
	}, {
		.op = PIRN_OP_WRITE, .target = true, .pool = true,
		.free = { .flags = PIRN_SQE_NOMERGE | PIRN_SQE_DSYNC |
				   PIRN_SQE_ATOMIC, .cookie = ANY64,
			  .offset = ANY64, .pool_offset = ANY64, .len = ANY32 },
	},
	{ .op = PIRN_OP_FSYNC, .target = true, .free = { .cookie = ANY64 } },
	{ .op = PIRN_OP_JOIN, .free = { .cookie = ANY64, .offset = ANY64,
					.len = ANY32, .threshold = ANY32 } },
	{ .op = PIRN_OP_FDATASYNC, .target = true, .free = { .cookie = ANY64 } },
	{ .op = PIRN_OP_FALLOCATE, .target = true,
	  .free = { .cookie = ANY64, .offset = ANY64, .bytes = ANY64,
		    .mode = ANY32 } },
	{ .op = PIRN_OP_DISCARD, .target = true,
	  .free = { .cookie = ANY64, .offset = ANY64, .bytes = ANY64 } },
};

/* A channel with target 0 and pool 0. */
struct sqe_world {
	struct pirn_channel	*ch;
	struct pirn_target	target;
	struct pirn_pool_slot	slot;
	struct pirn_ident	ident;
	struct pirn_op		*op;
};

static int sqe_init(struct kunit *test)
{
	struct sqe_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct pirn_channel *ch;

	KUNIT_ASSERT_NOT_NULL(test, w);
	ch = fixture_channel(test, 8, 8);
	ch->targets = kunit_kcalloc(test, PIRN_MAX_TARGETS,
				    sizeof(*ch->targets), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->targets);
	ch->slots = kunit_kcalloc(test, PIRN_MAX_POOLS, sizeof(*ch->slots),
				  GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->slots);
	ch->targets[0] = &w->target;
	ch->slots[0] = &w->slot;
	ch->ident = &w->ident;
	w->ch = ch;
	w->op = fixture_ops(test, ch, 1);
	test->priv = w;
	return 0;
}

/* What an SQE of rule with only this bit set comes to. */
static int sqe_expected(const struct sqe_rule *rule, unsigned int bit)
{
	unsigned int byte = bit / 8;

	if (byte / 2 == offsetof(struct pirn_sqe, target) / 2)
		return rule->target ? -EBADF : -EINVAL;
	if (byte / 2 == offsetof(struct pirn_sqe, pool) / 2)
		return rule->pool ? -ENXIO : -EINVAL;
	return ((const u8 *)&rule->free)[byte] >> bit % 8 & 1 ? 0 : -EINVAL;
}

static void sqe_each_bit(struct kunit *test)
{
	struct sqe_world *w = test->priv;
	const struct sqe_rule *rule;
	struct pirn_sqe sqe;
	unsigned int bit;

	KUNIT_ASSERT_EQ(test, ARRAY_SIZE(sqe_rules), PIRN_OP_LAST);
	for (rule = sqe_rules; rule < sqe_rules + PIRN_OP_LAST; rule++) {
		sqe = (struct pirn_sqe) { .op = rule->op };
		KUNIT_EXPECT_EQ(test, pirn_op_read(w->op, &sqe), 0);
		/* the first byte is the op itself */
		for (bit = 8; bit < 8 * sizeof(sqe); bit++) {
			sqe = (struct pirn_sqe) { .op = rule->op };
			((u8 *)&sqe)[bit / 8] |= 1 << bit % 8;
			KUNIT_EXPECT_EQ_MSG(test, pirn_op_read(w->op, &sqe),
					    sqe_expected(rule, bit),
					    "op %u, bit %u", rule->op, bit);
		}
	}
}

static void sqe_unknown_ops(struct kunit *test)
{
	struct sqe_world *w = test->priv;
	struct pirn_sqe sqe = {};
	unsigned int op;

	for (op = PIRN_OP_LAST; op <= U8_MAX; op++) {
		sqe.op = op;
		KUNIT_EXPECT_EQ(test, pirn_op_read(w->op, &sqe), -EINVAL);
	}
}

/* Past the tables: refused, and not read, which KASAN would see. */
static void sqe_indices_past_the_tables(struct kunit *test)
{
	struct sqe_world *w = test->priv;
	struct pirn_sqe sqe = { .op = PIRN_OP_READ };
	unsigned int i;

	for (i = 1; i <= U16_MAX; i++) {
		sqe.target = i;
		sqe.pool = 0;
		KUNIT_ASSERT_EQ(test, pirn_op_read(w->op, &sqe), -EBADF);
		sqe.target = 0;
		sqe.pool = i;
		KUNIT_ASSERT_EQ(test, pirn_op_read(w->op, &sqe), -ENXIO);
	}
}

static void sqe_counts_only_what_it_takes(struct kunit *test)
{
	struct sqe_world *w = test->priv;
	struct pirn_sqe sqe = { .op = PIRN_OP_READ, .pool = 1 };

	KUNIT_EXPECT_EQ(test, pirn_op_read(w->op, &sqe), -ENXIO);
	KUNIT_EXPECT_EQ(test, w->target.issued, 0);
	KUNIT_EXPECT_EQ(test, w->slot.issued, 0);
	KUNIT_EXPECT_EQ(test, w->ident.issued, 0);
	KUNIT_EXPECT_NULL(test, w->op->target);

	sqe = (struct pirn_sqe) { .op = PIRN_OP_FSYNC };
	KUNIT_EXPECT_EQ(test, pirn_op_read(w->op, &sqe), 0);
	KUNIT_EXPECT_EQ(test, w->target.issued, 1);
	KUNIT_EXPECT_EQ(test, w->slot.issued, 0);
	KUNIT_EXPECT_EQ(test, w->ident.issued, 1);

	sqe = (struct pirn_sqe) { .op = PIRN_OP_WRITE };
	KUNIT_EXPECT_EQ(test, pirn_op_read(w->op, &sqe), 0);
	KUNIT_EXPECT_EQ(test, w->target.issued, 2);
	KUNIT_EXPECT_EQ(test, w->slot.issued, 1);
	KUNIT_EXPECT_EQ(test, w->ident.issued, 2);

	pirn_op_unget(w->op);
	KUNIT_EXPECT_EQ(test, w->target.issued, 1);
	KUNIT_EXPECT_EQ(test, w->slot.issued, 0);
	KUNIT_EXPECT_EQ(test, w->ident.issued, 1);
	KUNIT_EXPECT_PTR_EQ(test, w->ch->free, w->op);
}

static void sqe_member_is_no_join(struct kunit *test)
{
	struct sqe_world *w = test->priv;
	struct pirn_sqe sqe = { .op = PIRN_OP_JOIN };
	struct pirn_join join;

	w->op->join = &join;
	KUNIT_EXPECT_EQ(test, pirn_op_read(w->op, &sqe), -EINVAL);
}

static void sqe_ops_come_back(struct kunit *test)
{
	struct sqe_world *w = test->priv;
	struct pirn_op *ops = fixture_ops(test, w->ch, 2);

	ops[0].next = &ops[1];
	w->ch->done.head = &ops[0];
	w->ch->done.tail = &ops[1];
	KUNIT_EXPECT_PTR_EQ(test, pirn_op_get(w->ch), &ops[0]);
	KUNIT_EXPECT_NULL(test, w->ch->done.head);
	KUNIT_EXPECT_PTR_EQ(test, pirn_op_get(w->ch), &ops[1]);
	KUNIT_EXPECT_NULL(test, w->ch->free);
}

static struct kunit_case sqe_cases[] = {
	KUNIT_CASE(sqe_each_bit),
	KUNIT_CASE(sqe_unknown_ops),
	KUNIT_CASE(sqe_indices_past_the_tables),
	KUNIT_CASE(sqe_counts_only_what_it_takes),
	KUNIT_CASE(sqe_member_is_no_join),
	KUNIT_CASE(sqe_ops_come_back),
	{}
};

static struct kunit_suite sqe_suite = {
	.name = "pirn_sqe",
	.init = sqe_init,
	.test_cases = sqe_cases,
};

kunit_test_suite(sqe_suite);
