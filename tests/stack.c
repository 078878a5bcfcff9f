// SPDX-License-Identifier: MIT
/*
 * Stacks: how deep they were used, which go back to the kernel and when, and
 * what a fiber can be given besides.
 *
 * The core's clock is the test's own where an interval has to pass: a core that
 * sleeps until a deadline is there at once.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend.h"
#include "helpers.h"
#include "switch.h"
#include "rounding.h"

#define PAGE ((uint64_t)pirn_this()->stacks.page)
#define SECOND 1000000000ull

static struct pirn_stack_stats stack_stats(void)
{
	struct pirn_stack_stats stats = { .size = sizeof(stats) };

	check_eq(pirn_stack_stats(&stats), 0);
	check_eq(stats.size, sizeof(stats));
	return stats;
}

/* ------------------------------------------------------------------- clock */

static const struct pirn_backend_ops *real_ops;
static struct pirn_backend_ops test_ops;
static uint64_t test_clock;
static unsigned int test_sleeps;

static uint64_t clock_now(struct pirn_core *core)
{
	(void)core;
	return test_clock += 100;
}

static void clock_enter(struct pirn_core *core, bool wait, uint64_t deadline)
{
	if (wait) {
		/* nothing here waits for anything but time */
		check(deadline != UINT64_MAX);
		test_sleeps++;
		if (deadline > test_clock)
			test_clock = deadline;
	}
	real_ops->enter(core, false, UINT64_MAX);
}

static void clock_start(void)
{
	struct pirn_core *core = pirn_this();

	real_ops = core->ops;
	test_clock = real_ops->now(core);
	test_ops = *real_ops;
	test_ops.now = clock_now;
	test_ops.enter = clock_enter;
	core->ops = &test_ops;
}

static void clock_stop(void)
{
	pirn_this()->ops = real_ops;
}

/* ------------------------------------------------------------------- depth */

/* Writes to each page down to @bytes below the fiber's record. */
static void touch(size_t bytes)
{
	volatile char *top = (volatile char *)pirn_self();
	volatile char *at = (volatile char *)__builtin_frame_address(0);

	while ((at -= KiB) > top - bytes)
		*at = 1;
	top[-(long)bytes] = 1;
}

static int touch_and_end(void *arg)
{
	touch(*(size_t *)arg);
	return 0;
}

static int touch_and_park(void *arg)
{
	touch(*(size_t *)arg);
	check_eq(pirn_park(), 0);
	return 0;
}

static void join(struct pirn_fiber *fiber)
{
	check_eq(pirn_join(fiber, NULL), 0);
}

static void check_depth(size_t bytes)
{
	uint64_t used = stack_stats().used_most;

#if defined(PIRN_DEBUG)
	check_eq(used, bytes);
#else
	check_op(used, >=, bytes);
	check_op(used, <, bytes + PAGE);
#endif
}

static int depth(void *arg)
{
	size_t bytes[] = { 61 * KiB + 13, 200 * KiB + 1, 100 * KiB };
	struct pirn_fiber *fiber;

	(void)arg;
	check_op(stack_stats().used_most, <, 32 * KiB);
	check_eq(stack_stats().stack_bytes, 256 * KiB);
	/* of a fiber that is alive */
	check_eq(pirn_spawn(&fiber, touch_and_park, &bytes[0]), 0);
	check_eq(pirn_yield(), 0);
	check_depth(bytes[0]);
	check_eq(pirn_unpark(fiber), 0);
	join(fiber);
	/* of one that has ended, its stack used again; less changes nothing */
	check_eq(pirn_spawn(&fiber, touch_and_end, &bytes[1]), 0);
	join(fiber);
	check_eq(pirn_spawn(&fiber, touch_and_end, &bytes[2]), 0);
	join(fiber);
	check_depth(bytes[1]);
	check_eq(stack_stats().made, 2);
	return 0;
}

TEST(the_deepest_fiber_is_known)
{
	run_on(NULL, depth, NULL);
}

/* ---------------------------------------------------------------- giving back */

#define MANY 40u

static struct pirn_fiber *deep[MANY];
static size_t deep_bytes = 128 * KiB;

static void burst_start(void)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		check_eq(pirn_spawn(&deep[i], touch_and_park, &deep_bytes), 0);
	check_eq(pirn_yield(), 0);
}

static void burst_end(void)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		check_eq(pirn_unpark(deep[i]), 0);
	for (i = 0; i < MANY; i++)
		join(deep[i]);
}

/* Nothing of @n stacks but their top pages, and what this fiber itself uses. */
static void check_given_back(unsigned int n)
{
	struct pirn_stack_stats stats = stack_stats();

	check_eq(stats.made, n + 1);
	check_eq(stats.pooled, n);
	check_eq(stats.cold, n);
	/* of the burst alone: this fiber's stack is not one of those */
#if !defined(PIRN_DEBUG)
	check_op(stats.resident, <=, n * PAGE + 64 * KiB);
	check_op(stats.returned, >=, n * (deep_bytes - 2 * PAGE));
	check_op(stats.returned, <=, n * deep_bytes);
#else
	check_op(stats.resident, <=, n * PAGE + 260 * KiB);
#endif
}

static int idle(void *arg)
{
	unsigned int sleeps;

	(void)arg;
	clock_start();
	burst_start();
	check_op(stack_stats().resident, >=, MANY * (deep_bytes - PAGE));
	burst_end();
	check_eq(stack_stats().pooled, MANY);
	/* not at once: the next burst may be near */
	check_eq(pirn_sleep(SECOND / 2), 0);
	check_eq(stack_stats().cold, 0);
	check_eq(stack_stats().returned, 0);
	check_eq(pirn_sleep(2 * SECOND), 0);
	check_given_back(MANY);
	/* what it knew of their depth it still knows */
	check_depth(deep_bytes);
	/* and with nothing left to look at it sleeps through */
	sleeps = test_sleeps;
	check_eq(pirn_sleep(1000 * SECOND), 0);
	check_eq(test_sleeps, sleeps + 1);

	/* cold stacks are as good as new ones */
	burst_start();
	check_eq(stack_stats().made, MANY + 1);
	check_eq(stack_stats().pooled, 0);
	check_op(stack_stats().resident, >=, MANY * (deep_bytes - PAGE));
	burst_end();
	clock_stop();
	return 0;
}

TEST(an_idle_core_gives_cold_stacks_back)
{
	not_simulated("the case has a clock of its own");
	run_on(NULL, idle, NULL);
	/* the same where a core does not look round before it sleeps */
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, idle, NULL);
}

/* Turns of a core that never idles. */
static void turns(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n * PIRN_TURN_SWITCHES; i++)
		check_eq(pirn_yield(), 0);
}

static int busy(void *arg)
{
	unsigned int i;

	(void)arg;
	clock_start();
	burst_start();
	burst_end();
	turns(512);
	test_clock += SECOND;
	turns(512);
	check_eq(stack_stats().returned, 0);
	for (i = 0; i < MANY && stack_stats().cold < MANY; i++) {
		test_clock += SECOND;
		turns(256);
		/* a turn stays short */
		check_op(stack_stats().cold, <=, 4 * (i + 1) + 4);
	}
	check_given_back(MANY);
	check_eq(test_sleeps, 0);
	clock_stop();
	return 0;
}

TEST(a_busy_core_gives_cold_stacks_back)
{
	not_simulated("the case has a clock of its own");
	run_on(NULL, busy, NULL);
}

static int hot(void *arg)
{
	struct pirn_fiber *fiber[2];
	unsigned int i, n;

	(void)arg;
	clock_start();
	burst_start();
	burst_end();
	/* two at a time, always: the 38 others are cold, these are not */
	for (i = 0; i < 20; i++) {
		for (n = 0; n < 2; n++)
			check_eq(pirn_spawn(&fiber[n], touch_and_end,
					    &deep_bytes), 0);
		join(fiber[0]);
		join(fiber[1]);
		check_eq(pirn_sleep(SECOND / 2), 0);
	}
	check_eq(stack_stats().cold, MANY - 2);
	check_eq(stack_stats().pooled, MANY);
#if !defined(PIRN_DEBUG)
	check_op(stack_stats().returned, <=, (MANY - 2) * deep_bytes);
#endif
	/* until they are not used either */
	check_eq(pirn_sleep(3 * SECOND), 0);
	check_given_back(MANY);
	clock_stop();
	return 0;
}

TEST(stacks_in_use_stay_warm)
{
	not_simulated("the case has a clock of its own");
	run_on(NULL, hot, NULL);
}

static int keep(void *arg)
{
	char data[64 * KiB];

	fill(data, sizeof(data), 0, 17);
	check_eq(pirn_park(), 0);
	check_filled(data, sizeof(data), 0, 17);
	*(unsigned int *)arg += 1;
	return 0;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int parked(void *arg)
{
	struct pirn_fiber *fiber[10], *ended;
	unsigned int i, kept = 0;

	(void)arg;
	clock_start();
	burst_start();
	for (i = 0; i < 10; i++)
		check_eq(pirn_spawn(&fiber[i], keep, &kept), 0);
	/* ended, not joined: its result is still wanted */
	check_eq(pirn_spawn(&ended, nothing, NULL), 0);
	check_eq(pirn_yield(), 0);
	burst_end();
	check_eq(pirn_sleep(5 * SECOND), 0);
	check_eq(stack_stats().cold, MANY);
	for (i = 0; i < 10; i++)
		check_eq(pirn_unpark(fiber[i]), 0);
	for (i = 0; i < 10; i++)
		join(fiber[i]);
	join(ended);
	check_eq(kept, 10);
	clock_stop();
	return 0;
}

TEST(what_is_on_parked_fibers_stacks_stays)
{
	run_on(NULL, parked, NULL);
}

/* ---------------------------------------------------------------- attributes */

static int check_name(void *arg)
{
	check(pirn_self()->name == arg);
	return 3;
}

static int attributes(void *arg)
{
	struct pirn_fiber_options opt = PIRN_FIBER_OPTIONS_INIT;
	struct {
		struct pirn_fiber_options known;
		char newer[8];
	} longer = { .known = { .size = sizeof(longer) } };
	static char name[] = "writer";
	struct pirn_fiber *fiber;
	int result;

	(void)arg;
	opt.name = name;
	check_eq(pirn_spawn_options(&fiber, &opt, check_name, name), 0);
	check_eq(pirn_join(fiber, &result), 0);
	check_eq(result, 3);
	/* the next one on that stack has none, nor has one without options */
	check_eq(pirn_spawn(&fiber, check_name, NULL), 0);
	join(fiber);
	check_eq(pirn_spawn_options(&fiber, NULL, check_name, NULL), 0);
	join(fiber);
	check_eq(pirn_spawn_options(&fiber, &longer.known, check_name, NULL), 0);
	join(fiber);

	longer.newer[5] = 1;
	check_eq(pirn_spawn_options(&fiber, &longer.known, nothing, NULL), -EINVAL);
	check(strstr(pirn_reason(), "not known"));
	opt.flags = 1u << 31;
	check_eq(pirn_spawn_options(&fiber, &opt, nothing, NULL), -EINVAL);
	opt.flags = 0;
	opt.reserved = 1;
	check_eq(pirn_spawn_options(&fiber, &opt, nothing, NULL), -EINVAL);
	opt.reserved = 0;
	opt.size = 0;
	check_eq(pirn_spawn_options(&fiber, &opt, nothing, NULL), -EINVAL);
	opt.size = sizeof(opt);
	check_eq(pirn_spawn_options(&fiber, &opt, NULL, NULL), -EINVAL);
	/* none of the refused ones exists */
	check_eq(pirn_this()->fibers, 1);
	return 0;
}

TEST(a_fiber_has_attributes)
{
	run_on(NULL, attributes, NULL);
}

static unsigned int switches;

static int rounding(void *arg)
{
	bool up = *(bool *)arg;
	unsigned int i;

	check(!rounds_up());
	if (up)
		round_up();
	for (i = 0; i < 1000; i++, switches++) {
		check_eq(rounds_up(), up);
		check_eq(i % 100 ? pirn_yield() : pirn_sleep(1000), 0);
	}
	check_eq(rounds_up(), up);
	return 0;
}

static int own_rounding(void *arg)
{
	struct pirn_fiber_options opt = PIRN_FIBER_OPTIONS_INIT;
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	static const bool yes = true, no;
	struct pirn_fiber *fiber[4];
	uint64_t turns_before;
	unsigned int i;

	(void)arg;
	check_eq(pirn_core_stats(&stats), 0);
	turns_before = stats.turns;
	opt.flags = PIRN_FIBER_FP;
	for (i = 0; i < 4; i++)
		check_eq(pirn_spawn_options(&fiber[i], i % 2 ? &opt : NULL,
					    rounding,
					    (void *)(i % 2 ? &yes : &no)), 0);
	for (i = 0; i < 4; i++) {
		join(fiber[i]);
		check(!rounds_up());
	}
	check_eq(switches, 4000);
	/* a turn is neither longer nor shorter for them */
	check_eq(pirn_core_stats(&stats), 0);
	check_op(stats.turns - turns_before, >=, 4000 / PIRN_TURN_SWITCHES);
	/* alone: nothing else is runnable when it yields */
	switches = 0;
	check_eq(pirn_spawn_options(&fiber[0], &opt, rounding,
				    (void *)&yes), 0);
	join(fiber[0]);
	check(!rounds_up());
	return 0;
}

TEST(a_fiber_can_have_its_own_rounding)
{
	run_on(NULL, own_rounding, NULL);
}

static int count_yields(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 3200; i++)
		check_eq(pirn_yield(), 0);
	return 0;
}

static uint64_t turns_of(const struct pirn_fiber_options *opt)
{
	struct pirn_core *core = pirn_this();
	struct pirn_fiber *fiber[2];
	uint64_t before = core->stats.turns;

	check_eq(pirn_spawn(&fiber[0], count_yields, NULL), 0);
	check_eq(pirn_spawn_options(&fiber[1], opt, count_yields, NULL), 0);
	join(fiber[0]);
	join(fiber[1]);
	return core->stats.turns - before;
}

static int turn_length(void *arg)
{
	struct pirn_fiber_options opt = PIRN_FIBER_OPTIONS_INIT;
	uint64_t plain = turns_of(&opt), own;

	(void)arg;
	opt.flags = PIRN_FIBER_FP;
	own = turns_of(&opt);
	check_op(plain, >=, 6400 / PIRN_TURN_SWITCHES);
	check_op(own, >=, plain - 2);
	check_op(own, <=, plain + 2);
	return 0;
}

/* The budget that is put aside while such a fiber runs comes back. */
TEST(own_rounding_leaves_turns_as_long_as_they_are)
{
	not_simulated("the seed decides how long a turn is");
	run_on(NULL, turn_length, NULL);
}

/* ------------------------------------------------------------------ misuse */

static int sizes(void *arg)
{
	struct pirn_stack_stats stats = { .size = 0 };

	(void)arg;
	check_eq(pirn_stack_stats(&stats), -EINVAL);
	check_eq(pirn_stack_stats(NULL), -EINVAL);
	stats.size = offsetof(struct pirn_stack_stats, made);
	stats.made = 4711;
	check_eq(pirn_stack_stats(&stats), 0);
	check_eq(stats.size, offsetof(struct pirn_stack_stats, made));
	check_eq(stats.stack_bytes, 256 * KiB);
	check_eq(stats.made, 4711);
	stats.size = sizeof(stats) + 100;
	check_eq(pirn_stack_stats(&stats), 0);
	check_eq(stats.size, sizeof(stats));
	check_eq(stats.made, 1);
	return 0;
}

TEST(stack_stats_want_their_size)
{
	run_on(NULL, sizes, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_deepest_fiber_is_known),
		cmocka_unit_test(an_idle_core_gives_cold_stacks_back),
		cmocka_unit_test(a_busy_core_gives_cold_stacks_back),
		cmocka_unit_test(stacks_in_use_stay_warm),
		cmocka_unit_test(what_is_on_parked_fibers_stacks_stays),
		cmocka_unit_test(a_fiber_has_attributes),
		cmocka_unit_test(a_fiber_can_have_its_own_rounding),
		cmocka_unit_test(own_rounding_leaves_turns_as_long_as_they_are),
		cmocka_unit_test(stack_stats_want_their_size),
	};

	return run_program(argc, argv, "stack", tests, array_size(tests));
}
