// SPDX-License-Identifier: MIT
/*
 * pirn bench sync: what fibers of one core wait with.  A mutex nobody else
 * wants, and two fibers that wake each other by semaphores, there and back: two
 * switches and what they wait in.  Yardstick: a bare register swap.
 */
#include <pirn/sync.h>

#include "bench.h"

struct sync {
	struct pirn_mutex mutex;
	struct pirn_semaphore there;
	struct pirn_semaphore back;
	uint64_t locked;
	uint64_t answered;	/* by the other fiber */
	uint64_t expected_locked;
	uint64_t expected;
	bool stop;
};

static uint64_t mutex_run(void *arg, uint64_t rounds)
{
	struct sync *s = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	s->expected_locked += rounds;
	while (rounds--) {
		s->locked += !pirn_mutex_lock(&s->mutex);
		pirn_mutex_unlock(&s->mutex);
	}
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static int other(void *arg)
{
	struct sync *s = arg;

	for (;;) {
		pirn_semaphore_wait(&s->there, 1);
		if (s->stop)
			return 0;
		s->answered++;
		pirn_semaphore_post(&s->back, 1);
	}
}

static uint64_t semaphore_run(void *arg, uint64_t rounds)
{
	struct sync *s = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	s->expected += rounds;
	while (rounds--) {
		pirn_semaphore_post(&s->there, 1);
		pirn_semaphore_wait(&s->back, 1);
	}
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static int measure(struct bench *bench, struct sync *s)
{
	struct bench_work works[] = {
		{ .key = "sync/mutex", .name = "mutex, lock and unlock",
		  .unit = "ns/pair", .run = mutex_run, .arg = s, .units = 1,
		  .beside = { 2, BENCH_NONE }, .goal = 2 },
		{ .key = "sync/semaphore", .name = "semaphore, there and back",
		  .unit = "ns/round trip", .run = semaphore_run, .arg = s,
		  .units = 1, .beside = { 2, BENCH_NONE }, .goal = 8 },
		BENCH_SWAP_WORK,
	};

	bench_swap_start();
	return bench_measure(bench, BENCH_ONE_CORE, works, 3);
}

static int main_fiber(void *arg)
{
	struct sync s = {
		.mutex = PIRN_MUTEX_INIT,
		.there = PIRN_SEMAPHORE_INIT(0),
		.back = PIRN_SEMAPHORE_INIT(0),
	};
	struct pirn_fiber *fiber;
	int err = pirn_spawn(&fiber, other, &s);

	if (err) {
		complain("starting a fiber: %s", pirn_reason());
		return err;
	}
	err = measure(arg, &s);
	s.stop = true;
	pirn_semaphore_post(&s.there, 1);
	pirn_join(fiber, NULL);
	if (!err)
		err = bench_counted("locks", s.locked, s.expected_locked, 0);
	return err ? err : bench_counted("answers", s.answered, s.expected, 0);
}

int bench_sync(struct bench *bench)
{
	return bench_run(bench, 1, NULL, main_fiber, bench);
}
