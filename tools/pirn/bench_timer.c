// SPDX-License-Identifier: MIT
/*
 * pirn bench timer: a deadline armed and taken back, among 1,000 others that are
 * armed and among 1,000,000.  What is measured is the library's own set of
 * timers, without a fiber that waits: most deadlines never come, and what they
 * cost is this.
 *
 * The others lie an hour and a random part of another ahead, and so does what is
 * armed among them.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench.h"
#include "lib.h"

#define HOUR	(3600ull * 1000000000)

struct timers {
	struct pirn_timers set;
	unsigned int count;
	struct pirn_timer *others;
	struct pirn_timer one;
	uint64_t now;
	uint64_t random;
};

static void fire(struct pirn_core *core, struct pirn_timer *timer)
{
	(void)core;
	(void)timer;
	abort();	/* nobody expires this set */
}

static uint64_t far(struct timers *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->now + HOUR + t->random % HOUR;
}

static void arm(struct timers *t, struct pirn_timer *timer)
{
	timer->when = far(t);
	timer->fire = fire;
	pirn_timer_arm(&t->set, timer);
}

static uint64_t run(void *arg, uint64_t rounds)
{
	struct timers *t = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	while (rounds--) {
		arm(t, &t->one);
		pirn_timer_disarm(&t->one);
	}
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static int start(struct timers *t, unsigned int count)
{
	*t = (struct timers){
		.count = count, .random = 1,
		.now = bench_clock(CLOCK_MONOTONIC),
	};
	t->others = calloc(count, sizeof(t->others[0]));
	if (!t->others) {
		complain("memory for %u timers: out of it", count);
		return -ENOMEM;
	}
	pirn_timers_start(&t->set, t->now);
	for (unsigned int i = 0; i < count; i++)
		arm(t, &t->others[i]);
	return 0;
}

/* All others are where they were put, and what was armed among them is not. */
static int check(struct timers *t)
{
	uint64_t armed = 0;

	for (unsigned int b = 0; b < ARRAY_SIZE(t->set.bucket); b++) {
		struct pirn_timer_list *list = &t->set.bucket[b].list, *at;

		for (at = list->next; at != list; at = at->next)
			armed += at != &t->one.list;
	}
	if (pirn_timer_armed(&t->one)) {
		complain("a timer taken back is armed");
		return -EIO;
	}
	return bench_counted("timers armed", armed, t->count, 0);
}

static int measure(struct bench *bench, struct timers *few, struct timers *many)
{
	struct bench_work works[] = {
		{ .key = "timer/1000", .name = "arm and cancel, 1,000 armed",
		  .unit = "ns/timer", .run = run, .arg = few, .units = 1,
		  .beside = { 2, BENCH_NONE } },
		{ .key = "timer/1000000", .name = "arm and cancel, 1,000,000 armed",
		  .unit = "ns/timer", .run = run, .arg = many, .units = 1,
		  .beside = { 0, 2 }, .goal = 2 },
		BENCH_SWAP_WORK,
	};
	int err;

	bench_swap_start();
	err = bench_measure(bench, BENCH_ONE_CORE, works, 3);
	if (!err)
		err = check(few);
	return err ? err : check(many);
}

static int main_fiber(void *arg)
{
	struct timers *few = calloc(2, sizeof(*few)), *many = few + 1;
	int err = -ENOMEM;

	if (!few)
		return err;
	err = start(few, 1000);
	if (!err)
		err = start(many, 1000000);
	if (!err)
		err = measure(arg, few, many);
	free(few->others);
	free(many->others);
	free(few);
	return err;
}

int bench_timer(struct bench *bench)
{
	return bench_run(bench, 1, NULL, main_fiber, bench);
}
