// SPDX-License-Identifier: MIT
/*
 * Joins: ops that tell the CQ together. Which CQEs come and when, what lies in
 * the result slots, what is refused, and that credits, slots and joins all come
 * back whatever was asked for.
 */
#include "join.h"

/* ------------------------------------------------------------ what is told */

TEST(all_of_them_in_one_cqe)
{
	struct rig rig;
	uint32_t i;

	join_rig(&rig, 16, 8, NVME_DISK);
	fill(rig.pool.memory, 8 * 4096, 0, 5);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 8 * 4096), 8 * 4096);
	memset(rig.pool.memory, 0, 8 * 4096);
	put_reads(&rig.ch, 8, 8, 0);
	check_eq(enter(&rig.ch, 9) & PIRN_ENTER_COUNT_MASK, 9);
	expect_cqe(&rig.ch, 1, 8, ENDED);
	for (i = 0; i < 8; i++)
		check_slot(&rig.ch, i, 100 + i, 4096);
	check_filled(rig.pool.memory, 8 * 4096, 0, 5);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

/* One on a fast disk, one on a slow: the first is told, then that both ended. */
TEST(the_first_of_two)
{
	struct pirn_sqe sqe;
	struct rig rig;
	char path[32];
	int slow;

	slow_disk(1, 400000000, path);
	join_rig(&rig, 8, 8, FAST_DISK);
	slow = attach_disk(&rig.ch, path, O_RDWR);
	put(&rig.ch, join_sqe(2, 1, 6), 1);
	sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	sqe.target = (uint16_t)slow;
	put(&rig.ch, sqe, 100);
	put(&rig.ch, io_sqe(PIRN_OP_READ, 0, 8192, 4096), 101);
	check_eq(enter(&rig.ch, 3), 3);
	check_eq(cq_ready(&rig.ch), 1);
	expect_cqe(&rig.ch, 1, 1, PIRN_CQE_THRESHOLD);
	check_eq(slot_flags(&rig.ch, 6), 0);
	check_slot(&rig.ch, 7, 101, 4096);
	expect_cqe(&rig.ch, 1, 2, PIRN_CQE_DRAINED);
	check_slot(&rig.ch, 6, 100, 4096);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

/* Three of five have to succeed; what the n-th member is decides when it is known. */
TEST(a_quorum_that_is_reached_and_one_that_is_not)
{
	static const struct {
		const char *members;	/* s: succeeds, f: fails */
		int res[2];		/* of the one or two CQEs */
		uint32_t flags[2];
	} rows[] = {
		{ "sssss", { 3, 5 }, { PIRN_CQE_THRESHOLD, PIRN_CQE_DRAINED } },
		{ "sssff", { 3, 3 }, { PIRN_CQE_THRESHOLD, PIRN_CQE_DRAINED } },
		{ "fssfs", { 3 }, { ENDED } },
		{ "ffsss", { 3 }, { ENDED } },
		{ "fffss", { 0, 2 }, { PIRN_CQE_THRESHOLD, PIRN_CQE_DRAINED } },
		{ "sfsff", { 2 }, { ENDED } },
		{ "fffff", { 0, 0 }, { PIRN_CQE_THRESHOLD, PIRN_CQE_DRAINED } },
	};
	struct pirn_sqe sqe;
	struct rig rig;
	size_t row, i;

	join_rig(&rig, 8, 5, FAST_DISK);
	for (row = 0; row < array_size(rows); row++) {
		put(&rig.ch, join_sqe(5, 3, 0), row);
		for (i = 0; i < 5; i++) {
			/* they end at once, in the order of the queue */
			sqe = io_sqe(PIRN_OP_NOP, 0, 0,
				     rows[row].members[i] == 's' ? 0 : 1);
			put(&rig.ch, sqe, 100 + i);
		}
		check_eq(enter(&rig.ch, 6), 6);
		check_eq(cq_ready(&rig.ch), rows[row].flags[1] ? 2 : 1);
		for (i = 0; i < 2 && rows[row].flags[i]; i++)
			expect_cqe(&rig.ch, row, rows[row].res[i],
				   rows[row].flags[i]);
		for (i = 0; i < 5; i++)
			check_slot(&rig.ch, (uint32_t)i, 100 + i,
				   rows[row].members[i] == 's' ? 0 : -EINVAL);
		all_credits_are_back(&rig.ch);
	}
	rig_close(&rig);
}

/* Whatever an SQE may hold, a member of a join says it in its slot. */
TEST(members_of_every_kind)
{
	struct pirn_sqe wrong;
	struct rig rig;

	join_rig(&rig, 16, 16, FAST_DISK);
	put(&rig.ch, join_sqe(7, 7, 3), 1);
	put(&rig.ch, (struct pirn_sqe){ 0 }, 10);
	put(&rig.ch, join_sqe(1, 1, 0), 11);	/* no join within a join */
	put(&rig.ch, io_sqe(PIRN_OP_WRITE, 4096, 0, 4096), 12);
	put(&rig.ch, io_sqe(PIRN_OP_FSYNC, 0, 0, 0), 13);
	wrong = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	wrong.target = 9;
	put(&rig.ch, wrong, 14);
	wrong.op = 255;
	put(&rig.ch, wrong, 15);
	put(&rig.ch, io_sqe(PIRN_OP_READ, 1ull << 62, 0, 4096), 16);
	put(&rig.ch, (struct pirn_sqe){ 0 }, 2);	/* not a member any more */
	check_eq(enter(&rig.ch, 9), 9);
	await_cqes(&rig.ch, 2);
	/* FSYNC may end after the NOP that follows */
	if (rig.ch.cq[rig.ch.cq_head & 15].cookie == 2) {
		expect_cqe(&rig.ch, 2, 0, 0);
		expect_cqe(&rig.ch, 1, 4, ENDED);
	} else {
		expect_cqe(&rig.ch, 1, 4, ENDED);
		expect_cqe(&rig.ch, 2, 0, 0);
	}
	check_slot(&rig.ch, 3, 10, 0);
	check_slot(&rig.ch, 4, 11, -EINVAL);
	check_slot(&rig.ch, 5, 12, 4096);
	check_slot(&rig.ch, 6, 13, 0);
	check_slot(&rig.ch, 7, 14, -EBADF);
	check_slot(&rig.ch, 8, 15, -EINVAL);
	check_slot(&rig.ch, 9, 16, 0);
	check_eq(slot_flags(&rig.ch, 2) | slot_flags(&rig.ch, 10), 0);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

TEST(a_sleeping_core_is_woken_once)
{
	unsigned long long before;
	struct rig rig;
	char path[32];

	slow_disk(1, 300000000, path);
	join_rig(&rig, 16, 8, path);
	before = cpu_counter(0, "wakeups");
	put_reads(&rig.ch, 8, 8, 0);
	check_eq(enter(&rig.ch, 9 | PIRN_ENTER_WAIT), 9);
	expect_cqe(&rig.ch, 1, 8, ENDED);
	check_eq(cpu_counter(0, "wakeups") - before, 1);
	rig_close(&rig);
}

/* ---------------------------------------------------------- what is refused */

TEST(a_join_that_cannot_be_is_an_op_like_others)
{
	static const struct {
		uint32_t nr, threshold;
		uint64_t first;
		const char *what;
	} wrong[] = {
		{ 0, 0, 0, "of nothing" },
		{ 0, 1, 0, "of nothing, one of it" },
		{ 2, 0, 0, "threshold 0" },
		{ 2, 3, 0, "threshold above" },
		{ 2, UINT32_MAX, 0, "threshold of all ones" },
		{ 3, 3, 0, "more members than this ENTER has" },
		{ UINT32_MAX, 1, 0, "very many" },
		{ UINT32_MAX, UINT32_MAX, 0, "all of very many" },
		{ 2, 2, 5, "from the last slot" },
		{ 2, 2, 6, "from past the slots" },
		{ 2, 2, 7, "further past" },
		{ 2, 2, UINT32_MAX, "2^32 - 1" },
		{ 2, 2, 1ull << 32, "2^32" },
		{ 2, 2, UINT64_MAX, "2^64 - 1" },
		{ 2, 2, 0 - 2ull, "wraps to 0" },
	};
	struct rig rig;
	size_t i;

	join_rig(&rig, 8, 6, FAST_DISK);
	for (i = 0; i < array_size(wrong); i++) {
		put(&rig.ch, join_sqe(wrong[i].nr, wrong[i].threshold,
				      wrong[i].first), i);
		put(&rig.ch, (struct pirn_sqe){ 0 }, 100);
		put(&rig.ch, (struct pirn_sqe){ 0 }, 101);
		check_eq(enter(&rig.ch, 3), 3);
		if (cq_ready(&rig.ch) != 3)
			check_failed(__FILE__, __LINE__, "%s: %u CQEs",
				     wrong[i].what, cq_ready(&rig.ch));
		expect_cqe(&rig.ch, i, -EINVAL, 0);
		expect_cqe(&rig.ch, 100, 0, 0);
		expect_cqe(&rig.ch, 101, 0, 0);
	}
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

TEST(what_a_join_does_not_use_must_be_zero)
{
	static const struct {
		size_t offset, bytes;
	} fields[] = {
#define FIELD(field) { offsetof(struct pirn_sqe, field), \
		       sizeof(((struct pirn_sqe *)0)->field) }
		FIELD(resv0), FIELD(flags), FIELD(target), FIELD(pool),
		FIELD(pool_offset), FIELD(resv1),
	};
	struct pirn_sqe sqe;
	struct rig rig;
	size_t i, bit;

	join_rig(&rig, 8, 8, FAST_DISK);
	for (i = 0; i < array_size(fields); i++) {
		for (bit = 0; bit < 8 * fields[i].bytes; bit++) {
			sqe = join_sqe(1, 1, 0);
			((uint8_t *)&sqe)[fields[i].offset + bit / 8] ^=
				(uint8_t)(1 << bit % 8);
			put(&rig.ch, sqe, 1);
			put(&rig.ch, (struct pirn_sqe){ 0 }, 2);
			check_eq(enter(&rig.ch, 2), 2);
			expect_cqe(&rig.ch, 1, -EINVAL, 0);
			expect_cqe(&rig.ch, 2, 0, 0);
		}
	}
	rig_close(&rig);
}

/* On a channel that was made without, and on one that is too small for any. */
TEST(a_channel_may_have_no_joins)
{
	struct pirn_sqe sqe = join_sqe(1, 1, 0);
	const struct pirn_channel_create tiny = {
		.sq_entries = 1, .cq_entries = 1, .results = 1,
	};
	struct channel ch;

	channel_open(&ch, 4, 4);
	check_eq(ch.ring->results, 0);
	put(&ch, sqe, 1);
	put(&ch, (struct pirn_sqe){ 0 }, 2);
	check_eq(enter(&ch, 2), 2);
	expect_cqe(&ch, 1, -EINVAL, 0);
	expect_cqe(&ch, 2, 0, 0);
	channel_close(&ch);

	channel_open_as(&ch, &tiny);
	check_eq(ch.ring->results, 1);
	check_eq(do_sqe(&ch, &sqe), -EINVAL);
	channel_close(&ch);
}

/* The slots are the join's until it has drained, whatever the threshold said. */
TEST(slots_in_use_are_refused)
{
	static const struct { uint32_t first, nr; int res; } rows[] = {
		{ 2, 1, -EBUSY }, { 0, 3, -EBUSY }, { 4, 2, -EBUSY },
		{ 3, 1, -EBUSY }, { 0, 6, -EBUSY }, { 0, 2, 0 }, { 5, 3, 0 },
	};
	struct pirn_sqe sqe;
	struct rig rig;
	char path[32];
	size_t row, i;
	int slow;

	slow_disk(1, 1000000000, path);
	join_rig(&rig, 32, 8, FAST_DISK);
	slow = attach_disk(&rig.ch, path, O_RDWR);
	put(&rig.ch, join_sqe(3, 2, 2), 1);
	put(&rig.ch, (struct pirn_sqe){ 0 }, 100);
	put(&rig.ch, (struct pirn_sqe){ 0 }, 101);
	sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	sqe.target = (uint16_t)slow;
	put(&rig.ch, sqe, 102);
	check_eq(enter(&rig.ch, 4), 4);
	expect_cqe(&rig.ch, 1, 2, PIRN_CQE_THRESHOLD);
	for (row = 0; row < array_size(rows); row++) {
		put(&rig.ch, join_sqe(rows[row].nr, rows[row].nr, rows[row].first), 7);
		for (i = 0; i < rows[row].nr; i++)
			put(&rig.ch, (struct pirn_sqe){ 0 }, 50);
		check_eq(enter(&rig.ch, rows[row].nr + 1), rows[row].nr + 1);
		if (rows[row].res) {
			expect_cqe(&rig.ch, 7, rows[row].res, 0);
			for (i = 0; i < rows[row].nr; i++)
				expect_cqe(&rig.ch, 50, 0, 0);
		} else {
			expect_cqe(&rig.ch, 7, (int)rows[row].nr, ENDED);
		}
	}
	check_slot(&rig.ch, 3, 101, 0);
	expect_cqe(&rig.ch, 1, 3, PIRN_CQE_DRAINED);
	check_slot(&rig.ch, 4, 102, 4096);
	put_reads(&rig.ch, 3, 3, 2);
	check_eq(enter(&rig.ch, 4), 4);
	expect_cqe(&rig.ch, 1, 3, ENDED);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

/* ----------------------------------------------------------------- credits */

/* A join and its members go together or stay together. */
TEST(a_join_waits_for_room_as_a_whole)
{
	/* members, threshold, places it needs in the CQ */
	static const uint32_t rows[][3] = { { 4, 4, 5 }, { 4, 2, 6 }, { 1, 1, 2 },
					    { 7, 7, 8 }, { 6, 1, 8 } };
	uint32_t room, need, nr, i;
	struct rig rig;
	size_t row;

	join_rig(&rig, 8, 8, FAST_DISK);
	for (row = 0; row < array_size(rows); row++) {
		nr = rows[row][0];
		need = rows[row][2];
		for (room = 0; room <= 8; room++) {
			for (i = room; i < 8; i++)
				put(&rig.ch, (struct pirn_sqe){ 0 }, 2);
			check_eq(enter(&rig.ch, 8 - room), 8 - room);
			check_eq(cq_ready(&rig.ch), 8 - room);
			put_reads(&rig.ch, nr, rows[row][1], 0);
			if (room < need) {
				check_eq(enter(&rig.ch, nr + 1), 0);
				check_eq(cq_ready(&rig.ch), 8 - room);
			}
			for (i = room; i < need; i++)
				expect_cqe(&rig.ch, 2, 0, 0);
			check_eq(enter(&rig.ch, nr + 1), nr + 1);
			for (i = need > room ? need : room; i < 8; i++)
				expect_cqe(&rig.ch, 2, 0, 0);
			if (rows[row][1] < nr)
				expect_cqe(&rig.ch, 1, (int)rows[row][1],
					   PIRN_CQE_THRESHOLD);
			expect_cqe(&rig.ch, 1, (int)nr, nr > rows[row][1] ?
				   PIRN_CQE_DRAINED : ENDED);
			all_credits_are_back(&rig.ch);
		}
	}
	/* what never fits is refused and does not wait for ever */
	put(&rig.ch, join_sqe(7, 6, 0), 1);
	for (i = 0; i < 7; i++)
		put(&rig.ch, (struct pirn_sqe){ 0 }, 100 + i);
	check_eq(enter(&rig.ch, 8), 8);
	expect_cqe(&rig.ch, 1, -EINVAL, 0);
	for (i = 0; i < 7; i++)
		expect_cqe(&rig.ch, 100 + i, 0, 0);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

/*
 * More members than the device has room for, and nobody who submits again: those
 * it refuses must be done all the same, or the sleep below has no end.
 */
TEST(members_do_not_stay_in_the_queue)
{
	unsigned long long punts = cpu_counter(0, "worker_punts");
	struct rig rig;
	char path[32];
	uint32_t i;

	slow_disk(1, 20000000, path);
	join_rig(&rig, 256, 200, path);
	put_reads(&rig.ch, 200, 200, 0);
	check_eq(enter_until(&rig.ch, 201, PIRN_ENTER_WAIT,
			     clock_ns() + 60000000000ull), 201 | PIRN_ENDED_CQE);
	expect_cqe(&rig.ch, 1, 200, ENDED);
	for (i = 0; i < 200; i++)
		check_slot(&rig.ch, i, 100 + i, 4096);
	check_op(cpu_counter(0, "worker_punts") - punts, >, 0);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

/* Nothing is left of a channel that goes away in the middle. */
TEST(closing_with_joins_open)
{
	unsigned long long submitted, completed;
	struct rig rig;
	char path[32];
	int i;

	slow_disk(1, 100000000, path);
	submitted = cpu_counter(0, "submitted");
	completed = cpu_counter(0, "completed");
	for (i = 0; i < 20; i++) {
		join_rig(&rig, 32, 32, path);
		put_reads(&rig.ch, 8, 1 + (uint32_t)i % 8, 0);
		put_reads(&rig.ch, 8, 8 - (uint32_t)i % 8, 8);
		check_eq(enter(&rig.ch, 18), 18);
		rig_close(&rig);
	}
	await_no_ops();
	check_eq(cpu_counter(0, "submitted") - submitted, 20 * 18);
	for (i = 0; i < 200 && cpu_counter(0, "completed") - completed < 20 * 18; i++)
		nap_ms(20);
	check_eq(cpu_counter(0, "completed") - completed, 20 * 18);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_them_in_one_cqe),
		cmocka_unit_test(the_first_of_two),
		cmocka_unit_test(a_quorum_that_is_reached_and_one_that_is_not),
		cmocka_unit_test(members_of_every_kind),
		cmocka_unit_test(a_sleeping_core_is_woken_once),
		cmocka_unit_test(a_join_that_cannot_be_is_an_op_like_others),
		cmocka_unit_test(what_a_join_does_not_use_must_be_zero),
		cmocka_unit_test(a_channel_may_have_no_joins),
		cmocka_unit_test(slots_in_use_are_refused),
		cmocka_unit_test(a_join_waits_for_room_as_a_whole),
		cmocka_unit_test(members_do_not_stay_in_the_queue),
		cmocka_unit_test(closing_with_joins_open),
	};

	return run_program(argc, argv, "join", tests, array_size(tests));
}
