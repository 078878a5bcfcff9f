// SPDX-License-Identifier: MIT
/*
 * pirn bench post: functions sent to another core that nobody waits for, each in
 * a fiber there; both cores are awake.  The sender parks when the other core has
 * as many as it takes, so what is measured is the slower of the two.  Yardstick:
 * the round trip of two cache lines.
 */
#include <errno.h>

#include <pirn/message.h>

#include "bench.h"

struct posts {
	uint64_t ran;		/* counted on core 1 */
	uint64_t expected;
	int err;
};

static int callee(void *arg)
{
	struct posts *p = arg;

	p->ran++;
	return 0;
}

static int read_ran(void *arg)
{
	(void)arg;
	return 0;
}

/* Until the last one has run, which a call after them tells. */
static uint64_t run(void *arg, uint64_t rounds)
{
	struct posts *p = arg;
	uint64_t from = bench_clock(CLOCK_MONOTONIC);

	p->expected += rounds;
	while (rounds-- && !p->err)
		p->err = pirn_post(1, callee, p);
	if (!p->err)
		p->err = pirn_call(1, read_ran, p, NULL);
	return bench_clock(CLOCK_MONOTONIC) - from;
}

static int main_fiber(void *arg)
{
	struct bench *bench = arg;
	struct posts p = { 0 };
	struct bench_work works[] = {
		{ .key = "post/1", .name = "post", .unit = "ns/post",
		  .run = run, .arg = &p, .units = 1,
		  .beside = { 1, BENCH_NONE }, .goal = 0.25 },
		{ .name = "two-line ping-pong", .run = bench_pair_run,
		  .arg = &bench_pingpong, .units = 1,
		  .beside = { BENCH_NONE, BENCH_NONE }, .hidden = true },
	};
	int err = bench_two_cpus(bench);

	if (!err)
		err = bench_measure(bench, BENCH_TWO_CORES, works, 2);
	if (p.err) {
		complain("a post: %s", pirn_reason());
		return p.err;
	}
	return err ? err : bench_counted("posts", p.ran, p.expected, 0);
}

int bench_post(struct bench *bench)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	/* Longer than anything here: no core falls asleep. */
	opt.spin_ns = 1000000000;
	return bench_run(bench, 2, &opt, main_fiber, bench);
}
