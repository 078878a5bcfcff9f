// SPDX-License-Identifier: MIT
/*
 * pirn bench call: a function run on another core in a fiber that may park, and
 * its result brought back; both cores are awake.  Yardstick: the round trip of
 * two cache lines between the same two threads, what two cores cannot be
 * quicker than.
 */
#include "bench.h"

#define OUTSTANDING 64u

struct calls {
	uint64_t rounds;	/* of each fiber */
	uint64_t ran;		/* counted on core 1 */
	uint64_t expected;
	int err;
};

static int callee(void *arg)
{
	struct calls *c = arg;

	c->ran++;
	return 0;
}

static int caller(void *arg)
{
	struct calls *c = arg;

	for (uint64_t n = 0; n < c->rounds && !c->err; n++) {
		int err = pirn_call(1, callee, c, NULL);

		if (err)
			c->err = err;
	}
	return c->err;
}

static uint64_t one_run(void *arg, uint64_t rounds)
{
	struct calls *c = arg;
	uint64_t from = bench_clock(CLOCK_MONOTONIC);

	c->rounds = rounds;
	c->expected += rounds;
	caller(c);
	return bench_clock(CLOCK_MONOTONIC) - from;
}

static uint64_t many_run(void *arg, uint64_t rounds)
{
	struct calls *c = arg;
	uint64_t from = bench_clock(CLOCK_MONOTONIC);

	c->rounds = rounds;
	c->expected += rounds * OUTSTANDING;
	c->err = cores_run_fibers(OUTSTANDING, caller, c);
	return bench_clock(CLOCK_MONOTONIC) - from;
}

static int main_fiber(void *arg)
{
	struct bench *bench = arg;
	struct calls c = { 0 };
	struct bench_work works[] = {
		{ .key = "call/1", .name = "call and reply", .unit = "ns/call",
		  .run = one_run, .arg = &c, .units = 1,
		  .beside = { 2, BENCH_NONE }, .goal = 2.5 },
		{ .key = "call/64", .name = "call and reply, 64 outstanding",
		  .unit = "ns/call", .run = many_run, .arg = &c,
		  .units = OUTSTANDING, .beside = { 2, BENCH_NONE },
		  .goal = 0.6 },
		{ .name = "two-line ping-pong", .run = bench_pair_run,
		  .arg = &bench_pingpong, .units = 1,
		  .beside = { BENCH_NONE, BENCH_NONE }, .hidden = true },
	};
	int err;

	err = bench_two_cpus(bench);
	if (err)
		return err;
	err = bench_measure(bench, BENCH_TWO_CORES, works, 3);
	if (c.err) {
		complain("a call: %s", pirn_reason());
		return c.err;
	}
	return err ? err : bench_counted("calls", c.ran, c.expected, 0);
}

int bench_call(struct bench *bench)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	/* Longer than anything here: no core falls asleep. */
	opt.spin_ns = 1000000000;
	return bench_run(bench, 2, &opt, main_fiber, bench);
}
