// SPDX-License-Identifier: MIT
/* Many joins at once against a model, and while somebody writes to the rings. */
#include <pthread.h>

#include "join.h"

#define SLOTS 64u

/* A join under way. */
struct open_join {
	uint32_t nr, threshold, fails;
	bool fired;
};

static struct open_join model[SLOTS];
static uint64_t busy_slots;

static void begin_one(struct rig *rig, struct rng *rng, uint32_t left)
{
	uint32_t nr = 1 + (uint32_t)rng_below(rng, 8), first, i;
	struct open_join *join;
	struct pirn_sqe sqe;
	uint64_t mask;

	first = (uint32_t)rng_below(rng, SLOTS - nr + 1);
	mask = ((1ull << nr) - 1) << first;
	if (busy_slots & mask || left < nr + 1)
		return;
	busy_slots |= mask;
	join = &model[first];
	*join = (struct open_join){
		.nr = nr, .threshold = 1 + (uint32_t)rng_below(rng, nr),
	};
	put(&rig->ch, join_sqe(nr, join->threshold, first), first);
	for (i = 0; i < nr; i++) {
		bool fails = !rng_below(rng, 6);

		sqe = io_sqe(rng_below(rng, 3) ? PIRN_OP_READ : PIRN_OP_WRITE,
			     4096 * rng_below(rng, 1024),
			     4096 * rng_below(rng, POOL / 4096), 4096);
		if (fails)
			sqe.pool = 77;
		sqe.target = (uint16_t)rng_below(rng, 2);
		join->fails += fails;
		put(&rig->ch, sqe, 1000 + first + i);
	}
}

static void end_one(struct rig *rig)
{
	struct pirn_cqe cqe = take_any_cqe(&rig->ch);
	struct open_join *join = &model[cqe.cookie];
	uint32_t i, fails = 0;

	check_op(cqe.cookie, <, SLOTS);
	check(busy_slots >> cqe.cookie & 1);
	check(cqe.flags && !(cqe.flags & ~ENDED));
	if (cqe.flags & PIRN_CQE_THRESHOLD) {
		check(!join->fired);
		join->fired = true;
		if (join->nr - join->fails < join->threshold)
			check_op(cqe.res, <, join->threshold);
		else if (join->threshold < join->nr)
			check_eq(cqe.res, join->threshold);
	}
	if (!(cqe.flags & PIRN_CQE_DRAINED))
		return;
	check(join->fired);
	check_eq(cqe.res, join->nr - join->fails);
	for (i = 0; i < join->nr; i++) {
		const struct pirn_cqe *slot = &rig->ch.results[cqe.cookie + i];

		check_eq(slot->flags, PIRN_CQE_DONE);
		check_eq(slot->cookie, 1000 + cqe.cookie + i);
		check(slot->res == 4096 || slot->res == -ENXIO);
		fails += slot->res < 0;
	}
	check_eq(fails, join->fails);
	busy_slots &= ~(((1ull << join->nr) - 1) << cqe.cookie);
}

TEST(many_joins_against_a_model)
{
	struct rng rng = { 77 };
	struct rig rig;
	uint32_t queued = 0, i;
	char path[32];

	slow_disk(1, 200000, path);
	join_rig(&rig, 32, SLOTS, path);
	check_eq(attach_disk(&rig.ch, NVME_DISK, O_RDWR), 1);
	for (i = 0; i < 4000; i++) {
		uint32_t before = rig.ch.sq_tail;

		if (rng_below(&rng, 3))
			begin_one(&rig, &rng, 32 - queued);
		queued += rig.ch.sq_tail - before;
		queued -= (uint32_t)must(enter(&rig.ch, queued)) &
			  PIRN_ENTER_COUNT_MASK;
		while (cq_ready(&rig.ch) && rng_below(&rng, 4))
			end_one(&rig);
	}
	while (busy_slots) {
		queued -= (uint32_t)must(enter(&rig.ch, queued | PIRN_ENTER_WAIT)) &
			  PIRN_ENTER_COUNT_MASK;
		while (cq_ready(&rig.ch))
			end_one(&rig);
	}
	check_eq(queued, 0);
	all_credits_are_back(&rig.ch);
	rig_close(&rig);
}

/* Somebody scribbles on slots and SQEs while members end. */
static volatile bool scribbling;

static void *scribble(void *arg)
{
	struct channel *ch = arg;
	struct rng rng = { 3 };
	uint32_t *word;

	while (scribbling) {
		word = rng_below(&rng, 2) ? (uint32_t *)ch->results :
					    (uint32_t *)ch->sq;
		__atomic_store_n(&word[rng_below(&rng, 32 * 8)],
				 (uint32_t)rng_next(&rng) >> rng_below(&rng, 33) % 32,
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(what_is_written_meanwhile_breaks_nothing)
{
	uint32_t round, spent;
	pthread_t thread;
	struct rig rig;

	join_rig(&rig, 32, 32, NVME_DISK);
	scribbling = true;
	check_eq(pthread_create(&thread, NULL, scribble, &rig.ch), 0);
	for (round = 0; round < 300; round++) {
		put_reads(&rig.ch, 8, 1 + round % 8, round % 24);
		rig.ch.ring->cq_head = cq_tail(&rig.ch);
		spent = (uint32_t)must(enter(&rig.ch, 9)) & PIRN_ENTER_COUNT_MASK;
		check_op(spent, <=, 9);
		if (spent < 9)
			nap_ms(1);
	}
	scribbling = false;
	pthread_join(thread, NULL);
	await_no_ops();
	rig.ch.cq_head = cq_tail(&rig.ch);
	rig.ch.ring->cq_head = rig.ch.cq_head;
	/* where the kernel is in its queue, so are we */
	rig.ch.sq_tail = rig.ch.ring->sq_head;
	all_credits_are_back(&rig.ch);
	put_reads(&rig.ch, 8, 8, 0);
	check_eq(enter(&rig.ch, 9), 9);
	expect_cqe(&rig.ch, 1, 8, ENDED);
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_joins_against_a_model),
		cmocka_unit_test(what_is_written_meanwhile_breaks_nothing),
	};

	return run_program(argc, argv, "join_stress", tests, array_size(tests));
}
