// SPDX-License-Identifier: MIT
/* Fibers: order, parking, results, limits, what a switch keeps. */
#include <errno.h>
#include <stdlib.h>

#include "helpers.h"
#include "registers.h"

/* --------------------------------------------------------- spawn and join */

static int give_back(void *arg)
{
	return *(int *)arg;
}

static int join_results(void *arg)
{
	struct pirn_fiber *fiber[3];
	int i, value[3] = { 7, -40, 1 << 30 }, result;

	(void)arg;
	for (i = 0; i < 3; i++)
		check_eq(pirn_spawn(&fiber[i], give_back, &value[i]), 0);
	for (i = 2; i >= 0; i--) {
		check_eq(pirn_join(fiber[i], &result), 0);
		check_eq(result, value[i]);
	}
	check_eq(pirn_spawn(&fiber[0], give_back, &value[0]), 0);
	check_eq(pirn_join(fiber[0], NULL), 0);
	return 4711;
}

TEST(join_gives_the_result)
{
	check_eq(run_on(NULL, join_results, NULL), 4711);
}

struct joined {
	struct pirn_fiber *fiber;
	int value;
	bool back;
};

static int join_first(void *arg)
{
	struct joined *j = arg;
	int result = 0;

	check_eq(pirn_join(j->fiber, &result), 0);
	check_eq(result, j->value);
	j->back = true;
	return 0;
}

/* Between the end of a fiber and the run of who joined it. */
static int join_late(void *arg)
{
	struct pirn_fiber *first, *next[3];
	struct joined j = { .value = 11 };
	int i, k;

	(void)arg;
	check_eq(pirn_spawn(&first, join_first, &j), 0);
	check_eq(pirn_spawn(&j.fiber, give_back, &j.value), 0);
	check_eq(pirn_yield(), 0);
	/* A simulator may let it run first; the handle is gone then. */
	if (j.back)
		return pirn_join(first, NULL);
	check_eq(pirn_join(j.fiber, NULL), -EINVAL);
	check_eq(pirn_detach(j.fiber), -EINVAL);
	check_eq(pirn_join(first, NULL), 0);
	check(j.back);
	/* its stack was given back once */
	for (i = 0; i < 3; i++)
		check_eq(pirn_spawn(&next[i], give_back, &j.value), 0);
	for (i = 0; i < 3; i++)
		for (k = 0; k < i; k++)
			check(next[i] != next[k]);
	for (i = 0; i < 3; i++)
		check_eq(pirn_join(next[i], NULL), 0);
	return 0;
}

TEST(a_fiber_is_joined_once)
{
	run_on(NULL, join_late, NULL);
}

struct log {
	unsigned int n;
	unsigned int entry[1000];
};

struct logger {
	struct log *log;
	unsigned int id;
};

static int log_and_yield(void *arg)
{
	struct logger *logger = arg;
	int round;

	for (round = 0; round < 3; round++) {
		logger->log->entry[logger->log->n++] = logger->id;
		check_eq(pirn_yield(), 0);
	}
	return 0;
}

static int fifo(void *arg)
{
	static struct log log;
	struct logger logger[100];
	struct pirn_fiber *fiber[100];
	unsigned int i;

	(void)arg;
	for (i = 0; i < 100; i++) {
		logger[i] = (struct logger){ &log, i };
		check_eq(pirn_spawn(&fiber[i], log_and_yield, &logger[i]), 0);
	}
	/* "runs after this one parks or yields", not before */
	check_eq(log.n, 0);
	for (i = 0; i < 100; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(log.n, 300);
	/* where the seed does not decide the order */
	for (i = 0; i < 300 && !simulated(); i++)
		check_eq(log.entry[i], i % 100);
	return 0;
}

TEST(runnable_fibers_run_first_in_first_out)
{
	run_on(NULL, fifo, NULL);
}

static int count_up(void *arg)
{
	unsigned int *count = arg;

	++*count;
	return 0;
}

static int yield_and_count(void *arg)
{
	check_eq(pirn_yield(), 0);
	return count_up(arg);
}

/* With a limit of 50 fibers only stacks that come back make 2,000 possible. */
static int detached(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct pirn_fiber *fiber;
	unsigned int i, count = 0;

	(void)arg;
	for (i = 0; i < 2000; i++) {
		if (i % 2) {
			check_eq(pirn_spawn(NULL, yield_and_count, &count), 0);
		} else {
			check_eq(pirn_spawn(&fiber, yield_and_count, &count), 0);
			check_eq(pirn_detach(fiber), 0);
		}
		if (i % 20 == 19) {
			while (count != i + 1)
				check_eq(pirn_yield(), 0);
		}
	}
	/* one that has ended before it is detached is freed there and then */
	check_eq(pirn_spawn(&fiber, count_up, &count), 0);
	check_eq(pirn_yield(), 0);
	check_eq(count, 2001);
	check_eq(pirn_detach(fiber), 0);
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.fibers, 1);
	return 0;
}

TEST(detached_fibers_run_and_are_freed)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_fibers = 50;
	run_on(&opt, detached, NULL);
}

/* ---------------------------------------------------------- park, unpark */

struct parker {
	struct pirn_fiber *self;
	int step;
};

static int park_thrice(void *arg)
{
	struct parker *p = arg;

	p->self = pirn_self();
	p->step = 1;
	check_eq(pirn_park(), 0);
	p->step = 2;
	/* two permits are one */
	check_eq(pirn_unpark(pirn_self()), 0);
	check_eq(pirn_unpark(pirn_self()), 0);
	check_eq(pirn_park(), 0);
	p->step = 3;
	check_eq(pirn_park(), 0);
	p->step = 4;
	return 0;
}

static void yield_some(void)
{
	int i;

	for (i = 0; i < 10; i++)
		check_eq(pirn_yield(), 0);
}

static int parking(void *arg)
{
	struct parker p = { NULL, 0 };
	struct pirn_fiber *fiber;

	(void)arg;
	check_eq(pirn_spawn(&fiber, park_thrice, &p), 0);
	/* sticky: before it ever ran */
	yield_some();
	check(p.self == fiber);
	check_eq(p.step, 1);
	check_eq(pirn_unpark(fiber), 0);
	check_eq(p.step, 1);
	yield_some();
	check_eq(p.step, 3);
	check_eq(pirn_unpark(fiber), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(p.step, 4);

	p.step = 0;
	check_eq(pirn_spawn(&fiber, park_thrice, &p), 0);
	check_eq(pirn_unpark(fiber), 0);
	yield_some();
	check_eq(p.step, 3);
	check_eq(pirn_unpark(fiber), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	return 0;
}

TEST(unpark_is_remembered_once)
{
	run_on(NULL, parking, NULL);
}

static int sleep_then_park(void *arg)
{
	int *step = arg;
	uint64_t until = pirn_now() + 30000000;

	check_eq(pirn_sleep_until(until), 0);
	check(pirn_now() >= until);
	*step = 1;
	/* the unpark that came while it slept */
	check_eq(pirn_park(), 0);
	*step = 2;
	return 0;
}

static int join_and_note(void *arg)
{
	struct parker *p = arg;

	check_eq(pirn_join(p->self, NULL), 0);
	p->step = 1;
	check_eq(pirn_park(), 0);
	return 0;
}

static int spurious(void *arg)
{
	struct pirn_fiber *sleeper, *joiner;
	struct parker p;
	int step = 0;

	(void)arg;
	check_eq(pirn_spawn(&sleeper, sleep_then_park, &step), 0);
	p = (struct parker){ sleeper, 0 };
	check_eq(pirn_spawn(&joiner, join_and_note, &p), 0);
	yield_some();
	check_eq(pirn_unpark(sleeper), 0);
	check_eq(pirn_unpark(joiner), 0);
	yield_some();
	check_eq(step, 0);
	check_eq(p.step, 0);
	check_eq(pirn_join(joiner, NULL), 0);
	check_eq(step, 2);
	return 0;
}

/* Only its own call wakes a fiber. */
TEST(unpark_does_not_end_a_sleep_or_a_join)
{
	run_on(NULL, spurious, NULL);
}

/* ---------------------------------------------------------------- limits */

#define MANY (UNDER_TSAN ? 2000u : 10000u)

static int park_and_sum(void *arg)
{
	struct log *log = arg;
	unsigned int mine = log->n++;

	check_eq(pirn_park(), 0);
	/* woken in the order in which unpark was called; a seed may change it */
	if (!simulated())
		check_eq(log->entry[0], mine);
	log->entry[0]++;
	return (int)mine;
}

static int many(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct pirn_fiber **fiber = calloc(MANY, sizeof(*fiber));
	static struct log log;
	unsigned int i;
	int result;

	(void)arg;
	for (i = 0; i < MANY; i++)
		check_eq(pirn_spawn(&fiber[i], park_and_sum, &log), 0);
	while (log.n < MANY)
		check_eq(pirn_yield(), 0);
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.fibers, MANY + 1);
	for (i = 0; i < MANY; i++)
		check_eq(pirn_unpark(fiber[i]), 0);
	for (i = 0; i < MANY; i++) {
		check_eq(pirn_join(fiber[i], &result), 0);
		if (!simulated())
			check_eq(result, i);
	}
	check_eq(log.entry[0], MANY);
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.fibers, 1);
	free(fiber);
	return 0;
}

TEST(ten_thousand_fibers_at_once)
{
	run_on(NULL, many, NULL);
}

static int park_once(void *arg)
{
	(void)arg;
	check_eq(pirn_park(), 0);
	return 0;
}

static int called(void *arg)
{
	(void)arg;
	return 5;
}

static int limit(void *arg)
{
	struct pirn_fiber *fiber[10], *extra = NULL;
	unsigned int i;
	int result;

	(void)arg;
	/* this one is the tenth */
	for (i = 0; i < 9; i++)
		check_eq(pirn_spawn(&fiber[i], park_once, NULL), 0);
	check_eq(pirn_spawn(&extra, park_once, NULL), -EAGAIN);
	check_eq(pirn_spawn(NULL, park_once, NULL), -EAGAIN);
	check_eq(pirn_call(0, called, NULL, NULL), -EAGAIN);
	check_eq(pirn_unpark(fiber[4]), 0);
	check_eq(pirn_join(fiber[4], NULL), 0);
	check_eq(pirn_spawn(&fiber[4], park_once, NULL), 0);
	check_eq(pirn_spawn(&extra, park_once, NULL), -EAGAIN);
	for (i = 0; i < 9; i++) {
		check_eq(pirn_unpark(fiber[i]), 0);
		check_eq(pirn_join(fiber[i], NULL), 0);
	}
	check_eq(pirn_call(0, called, NULL, &result), 0);
	check_eq(result, 5);
	return 0;
}

TEST(max_fibers_is_a_limit)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_fibers = 10;
	run_on(&opt, limit, NULL);
}

/* ------------------------------------------------------ what a switch keeps */

static void yield_for(void *arg)
{
	(void)arg;
	check_eq(pirn_yield(), 0);
}

static int hold_registers(void *arg)
{
	uint64_t seed = *(uint64_t *)arg += 0x0123456789abcdefu;
	int i;

	for (i = 0; i < 100; i++)
		check_eq(registers_lost(seed + (uint64_t)i, yield_for, NULL), 0);
	return 0;
}

static int registers(void *arg)
{
	uint64_t seed = 1;

	(void)arg;
	run_fibers(4, hold_registers, &seed);
	return 0;
}

TEST(callee_saved_registers_survive_a_switch)
{
	run_on(NULL, registers, NULL);
}

static int accumulate(void *arg)
{
	double start = ++*(double *)arg, sum = start, other = 1 / start;
	long double wide = start;
	int i;

	for (i = 1; i <= 200; i++) {
		sum += other * i;
		wide *= 1.0L + 1.0L / i;
		check_eq(pirn_yield(), 0);
	}
	/* 1 + .. + 200 = 20100; the product telescopes to 201 */
	check(sum > start + 20099.9 / start && sum < start + 20100.1 / start);
	check(wide > 200.99L * start && wide < 201.01L * start);
	return 0;
}

static int floats(void *arg)
{
	double n = 0;

	(void)arg;
	run_fibers(10, accumulate, &n);
	return 0;
}

TEST(floating_point_survives_a_switch)
{
	run_on(NULL, floats, NULL);
}

/* 100 frames of a KiB and more use half the stack; yields at the bottom. */
__attribute__((noinline))
static void recurse(unsigned int depth, uint64_t seed)
{
	char frame[KiB];

	fill(frame, sizeof(frame), depth, seed);
	if (depth)
		recurse(depth - 1, seed);
	else
		yield_some();
	check_filled(frame, sizeof(frame), depth, seed);
}

static int deep(void *arg)
{
	uint64_t *seed = arg;

	recurse(100, ++*seed);
	return 0;
}

static int recursion(void *arg)
{
	uint64_t seed = 0;

	(void)arg;
	run_fibers(5, deep, &seed);
	return 0;
}

TEST(deep_recursion_fits_and_keeps_its_frames)
{
	run_on(NULL, recursion, NULL);
}

static int say_core(void *arg)
{
	unsigned int *core = arg;
	int i;

	for (i = 0; i < 20; i++) {
		check_eq(pirn_core(), *core);
		check_eq(i % 2 ? pirn_yield() : pirn_sleep(1000), 0);
	}
	return 0;
}

static int on_core(void *arg)
{
	run_fibers(10, say_core, arg);
	return 0;
}

static int stay(void *arg)
{
	unsigned int core;

	(void)arg;
	for (core = 0; core < (unsigned int)pirn_core_count(); core++)
		check_eq(pirn_call(core, on_core, &core, NULL), 0);
	return 0;
}

TEST(fibers_stay_on_their_core)
{
	run_on_cores(NULL, stay, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(join_gives_the_result),
		cmocka_unit_test(a_fiber_is_joined_once),
		cmocka_unit_test(runnable_fibers_run_first_in_first_out),
		cmocka_unit_test(detached_fibers_run_and_are_freed),
		cmocka_unit_test(unpark_is_remembered_once),
		cmocka_unit_test(unpark_does_not_end_a_sleep_or_a_join),
		cmocka_unit_test(ten_thousand_fibers_at_once),
		cmocka_unit_test(max_fibers_is_a_limit),
		cmocka_unit_test(callee_saved_registers_survive_a_switch),
		cmocka_unit_test(floating_point_survives_a_switch),
		cmocka_unit_test(deep_recursion_fits_and_keeps_its_frames),
		cmocka_unit_test(fibers_stay_on_their_core),
	};

	return run_program(argc, argv, "fiber", tests, array_size(tests));
}
