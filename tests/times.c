// SPDX-License-Identifier: MIT
/* PIRN_CHANNEL_TIMES: what each CQE says of its op's time. */
#include "device.h"

static void times_rig(struct rig *rig, const char *disk)
{
	const struct pirn_channel_create create = {
		.flags = PIRN_CHANNEL_TIMES, .sq_entries = 16, .cq_entries = 16,
		.results = 8,
	};

	channel_open_as(&rig->ch, &create);
	check_eq(rig->ch.ring->flags, PIRN_CHANNEL_TIMES);
	pool_open(&rig->pool, 64 * KiB);
	check_eq(must(attach_pool_fd(&rig->ch, rig->pool.fd)), 0);
	check_eq(attach_disk(&rig->ch, disk, O_RDWR), 0);
}

/* @cqe is of an op that was submitted after @before and took @least or more. */
static void check_times(const struct pirn_cqe *cqe, uint64_t before, uint64_t least)
{
	check_op(cqe->published, <=, clock_ns());
	check_op(cqe->published, >=, before + least);
	check_op(cqe->device, >=, least);
	/* it began no earlier than the ENTER */
	check_op(cqe->published - cqe->device, >=, before);
}

TEST(device_and_publish_time)
{
	const uint64_t slow = 50000000;
	struct pirn_cqe cqe;
	struct rig rig;
	uint64_t before;
	char path[32];
	int i, round;

	slow_disk(1, slow, path);
	times_rig(&rig, path);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++)
			*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		before = clock_ns();
		check_eq(enter(&rig.ch, 3) & PIRN_ENTER_COUNT_MASK, 3);
		await_cqes(&rig.ch, 3);
		/* the op's own time, not until somebody looks */
		nap_ms(200);
		for (i = 0; i < 3; i++) {
			cqe = take_any_cqe(&rig.ch);
			check_eq(cqe.res, 4096);
			check_times(&cqe, before, slow);
			check_op(cqe.published, <, clock_ns() - 150000000);
		}
	}
	rig_close(&rig);
}

/* What never came to a device took no time there. */
TEST(refused_ops_have_no_device_time)
{
	struct pirn_cqe cqe;
	struct rig rig;
	uint64_t before;

	times_rig(&rig, FAST_DISK);
	next_sqe(&rig.ch)->op = 200;
	next_sqe(&rig.ch);
	/* found to be wrong only on the way to the device: not aligned, at its end */
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 1, 0, 4096);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 1ull << 40, 0, 4096);
	before = clock_ns();
	check_eq(enter(&rig.ch, 4), 4);
	for (int i = 0; i < 4; i++) {
		cqe = take_any_cqe(&rig.ch);
		check_eq(cqe.device, 0);
		check_op(cqe.published, >=, before);
		check_op(cqe.published, <=, clock_ns());
	}
	rig_close(&rig);
}

TEST(members_of_a_join_and_the_join)
{
	const uint64_t slow = 50000000;
	struct pirn_cqe cqe;
	struct rig rig;
	uint64_t before, last = 0;
	char path[32];
	int i;

	slow_disk(1, slow, path);
	times_rig(&rig, path);
	*next_sqe(&rig.ch) = (struct pirn_sqe){ .op = PIRN_OP_JOIN, .len = 4,
						.threshold = 4 };
	for (i = 0; i < 4; i++)
		*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	before = clock_ns();
	check_eq(enter(&rig.ch, 5) & PIRN_ENTER_COUNT_MASK, 5);
	await_cqes(&rig.ch, 1);
	cqe = take_any_cqe(&rig.ch);
	check_eq(cqe.res, 4);
	for (i = 0; i < 4; i++) {
		check_times(&rig.ch.results[i], before, slow);
		if (rig.ch.results[i].published > last)
			last = rig.ch.results[i].published;
	}
	/* those of the member that decided it */
	check_times(&cqe, before, slow);
	check_op(cqe.published, <=, last);
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_and_publish_time),
		cmocka_unit_test(refused_ops_have_no_device_time),
		cmocka_unit_test(members_of_a_join_and_the_join),
	};

	return run_program(argc, argv, "times", tests, array_size(tests));
}
