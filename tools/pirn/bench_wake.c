// SPDX-License-Identifier: MIT
/*
 * pirn bench wake: a call to a core that sleeps, whose caller sleeps until the
 * reply: two wakes.  Yardstick: two threads that wake each other by futex.
 *
 * On two CPUs this is the time of two interrupts and of leaving idle, and may
 * be cut short when one side is not asleep yet.  On one CPU (--cpus=0,0) the
 * sides take turns, each asleep: what is counted is the way through the kernel.
 */
#include <errno.h>

#include "bench.h"

struct wakes {
	struct bench *bench;
	const char *key;
	const char *name;
	double goal;
	uint64_t ran;		/* counted on core 1 */
	uint64_t expected;
	uint64_t slept;		/* times core 1 went to sleep, as its figures say */
	int err;
};

static int callee(void *arg)
{
	struct wakes *w = arg;

	w->ran++;
	return 0;
}

static int sleeps(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	uint64_t *count = arg;
	int err = pirn_core_stats(&stats);

	*count = stats.sleeps;
	return err;
}

static uint64_t run(void *arg, uint64_t rounds)
{
	struct wakes *w = arg;
	uint64_t from = bench_clock(CLOCK_MONOTONIC);

	w->expected += rounds;
	while (rounds--) {
		int err = pirn_call(1, callee, w, NULL);

		if (__builtin_expect(err, 0)) {
			w->err = err;
			break;
		}
	}
	return bench_clock(CLOCK_MONOTONIC) - from;
}

static int main_fiber(void *arg)
{
	struct wakes *w = arg;
	struct bench_work works[] = {
		{ .key = w->key, .name = w->name, .unit = "ns/round trip",
		  .run = run, .arg = w, .units = 1, .beside = { 1, BENCH_NONE },
		  .goal = w->goal },
		{ .name = "futex round trip", .run = bench_pair_run,
		  .arg = &bench_futex, .units = 1,
		  .beside = { BENCH_NONE, BENCH_NONE }, .hidden = true },
	};
	int err = bench_measure(w->bench, BENCH_TWO_CORES, works, 2);

	if (w->err) {
		complain("a call: %s", pirn_reason());
		return w->err;
	}
	if (err)
		return err;
	err = bench_counted("calls", w->ran, w->expected, 0);
	if (err)
		return err;
	err = pirn_call(1, sleeps, &w->slept, NULL);
	if (!err && !w->slept) {
		complain("core 1 never slept: nothing was woken");
		err = -EIO;
	}
	return err;
}

static int run_backend(struct bench *bench, enum pirn_backend backend,
		       const char *key, const char *name, double goal)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	/* The goals are of instructions; time on two CPUs is mostly the machine's. */
	struct wakes w = { .bench = bench, .key = key, .name = name,
			   .goal = bench->instructions ? goal : 0 };

	opt.backend = backend;
	opt.spin_ns = PIRN_NO_SPIN;
	return bench_run(bench, 2, &opt, main_fiber, &w);
}

static bool wanted(const struct bench *bench, enum pirn_backend backend)
{
	char why[256];

	if (bench->backend)
		return bench->backend == backend;
	return !pirn_backend_probe(backend, why, sizeof(why));
}

int bench_wake(struct bench *bench)
{
	int err = 0;

	if (wanted(bench, PIRN_BACKEND_KMOD))
		err = run_backend(bench, PIRN_BACKEND_KMOD, "wake/kmod",
				  "wake there and back, kmod", 1.2);
	if (!err && wanted(bench, PIRN_BACKEND_URING))
		err = run_backend(bench, PIRN_BACKEND_URING, "wake/uring",
				  "wake there and back, uring", 1.7);
	return err;
}
