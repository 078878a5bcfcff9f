// SPDX-License-Identifier: MIT
/*
 * pirn bench spawn: a fiber that is made, runs, ends and is joined, its stack
 * from those used before.  One at a time, the stack and the lines of the fiber
 * stay in the nearest cache; 1,000 at a time, each is on a page of its own.
 */
#include "bench.h"

#define MANY 1000u

struct spawns {
	uint64_t ran;		/* counted by the fibers */
	uint64_t expected;
	int err;
};

static int fiber(void *arg)
{
	struct spawns *s = arg;

	s->ran++;
	return 0;
}

static uint64_t one_run(void *arg, uint64_t rounds)
{
	struct spawns *s = arg;
	struct pirn_fiber *f;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	s->expected += rounds;
	while (rounds--) {
		int err = pirn_spawn(&f, fiber, s);

		if (__builtin_expect(err, 0)) {
			s->err = err;
			break;
		}
		pirn_join(f, NULL);
	}
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static uint64_t many_run(void *arg, uint64_t rounds)
{
	static struct pirn_fiber *f[MANY];
	struct spawns *s = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	s->expected += rounds * MANY;
	while (rounds--) {
		unsigned int made;

		for (made = 0; made < MANY && !s->err; made++)
			s->err = pirn_spawn(&f[made], fiber, s);
		if (s->err)
			made--;
		for (unsigned int i = 0; i < made; i++)
			pirn_join(f[i], NULL);
	}
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static int main_fiber(void *arg)
{
	struct bench *bench = arg;
	struct spawns s = { 0 };
	struct bench_work works[] = {
		{ .key = "spawn/1", .name = "spawn and join", .unit = "ns/fiber",
		  .run = one_run, .arg = &s, .units = 1,
		  .beside = { 2, BENCH_NONE }, .goal = 20 },
		{ .key = "spawn/1000", .name = "spawn and join, 1,000 at once",
		  .unit = "ns/fiber", .run = many_run, .arg = &s, .units = MANY,
		  .beside = { 2, BENCH_NONE } },
		BENCH_SWAP_WORK,
	};
	int err;

	bench_swap_start();
	err = bench_measure(bench, BENCH_ONE_CORE, works, 3);
	if (s.err) {
		complain("starting a fiber: %s", pirn_reason());
		return s.err;
	}
	return err ? err : bench_counted("fibers", s.ran, s.expected, 0);
}

int bench_spawn(struct bench *bench)
{
	return bench_run(bench, 1, NULL, main_fiber, bench);
}
