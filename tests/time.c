// SPDX-License-Identifier: MIT
/*
 * Sleeping. Only order and "never early" are checked: how late is up to the
 * machine. A timer that never fires is a hang, which fails the case.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backend.h"
#include "helpers.h"

#define MS 1000000u

struct sleepers {
	uint64_t base;
	uint64_t spread;
	unsigned int armed;
	unsigned int woken;
	unsigned int n;
	struct rng rng;
	uint64_t *deadline;
	uint64_t *woken_deadline;
};

static int sleep_in_order(void *arg)
{
	struct sleepers *s = arg;
	uint64_t deadline = s->deadline[s->armed++];

	check_eq(pirn_sleep_until(deadline), 0);
	check_op(clock_ns(), >=, deadline);
	check_op(pirn_now(), >=, deadline);
	s->woken_deadline[s->woken++] = deadline;
	return 0;
}

/*
 * All must sleep before the first is due, or the order is that of arming; false
 * when that took too long.
 */
static bool sleep_all(struct sleepers *s, uint64_t head_start)
{
	struct pirn_fiber **fiber = calloc(s->n, sizeof(*fiber));
	unsigned int i;
	bool in_time;

	s->base = pirn_now() + head_start;
	s->armed = 0;
	s->woken = 0;
	for (i = 0; i < s->n; i++)
		s->deadline[i] = s->base + rng_below(&s->rng, s->spread);
	for (i = 0; i < s->n; i++)
		check_eq(pirn_spawn(&fiber[i], sleep_in_order, s), 0);
	while (s->armed < s->n)
		check_eq(pirn_yield(), 0);
	in_time = pirn_now() < s->base;
	for (i = 0; i < s->n; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(s->woken, s->n);
	for (i = 1; in_time && i < s->n && !simulated(); i++)
		check_op(s->woken_deadline[i - 1], <=, s->woken_deadline[i]);
	free(fiber);
	return in_time;
}

static int many_sleepers(void *arg)
{
	struct sleepers s = { .n = *(unsigned int *)arg, .rng = { 42 } };
	uint64_t head_start = 50 * MS;

	s.spread = (uint64_t)s.n * 20000;
	s.deadline = calloc(s.n, sizeof(*s.deadline));
	s.woken_deadline = calloc(s.n, sizeof(*s.woken_deadline));
	while (!sleep_all(&s, head_start)) {
		head_start *= 3;
		check_op(head_start, <, 100000ull * MS);
	}
	free(s.deadline);
	free(s.woken_deadline);
	return 0;
}

TEST(sleepers_wake_by_deadline_never_early)
{
	unsigned int n = 50;

	run_on(NULL, many_sleepers, &n);
}

TEST(ten_thousand_sleepers_wake_by_deadline)
{
	unsigned int n = UNDER_TSAN ? 1500 : 10000;

	run_on(NULL, many_sleepers, &n);
}

static int same_deadline(void *arg)
{
	struct sleepers *s = arg;

	check_eq(pirn_sleep_until(s->base), 0);
	check_op(clock_ns(), >=, s->base);
	s->n++;
	return 0;
}

static int one_deadline(void *arg)
{
	struct sleepers s = { .n = 0 };

	(void)arg;
	s.base = pirn_now() + 20 * MS;
	run_fibers(500, same_deadline, &s);
	check_eq(s.n, 500);
	return 0;
}

TEST(many_sleep_until_the_same_instant)
{
	run_on(NULL, one_deadline, NULL);
}

static int past(void *arg)
{
	uint64_t before = clock_ns(), now;
	unsigned int i;

	(void)arg;
	now = pirn_now();
	check_op(now, >=, before);
	check_op(now, <=, clock_ns());
	for (i = 0; i < 100; i++) {
		check_eq(pirn_sleep_until(i), 0);
		check_eq(pirn_sleep_until(now), 0);
		check_eq(pirn_sleep_until(pirn_now() - 1), 0);
		check_eq(pirn_sleep(0), 0);
		check_eq(pirn_sleep(1), 0);
	}
	return 0;
}

TEST(a_deadline_in_the_past_ends_at_once)
{
	run_on(NULL, past, NULL);
}

static int note(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int sleep_for_ever(void *arg)
{
	check_eq(pirn_sleep(UINT64_MAX - *(uint64_t *)arg), 0);
	check_failed(__FILE__, __LINE__, "now + a huge time wrapped round");
}

static int huge(void *arg)
{
	uint64_t less[3] = { 0, 1, UINT64_MAX / 2 };
	unsigned int i;

	(void)arg;
	for (i = 0; i < 3; i++)
		check_eq(pirn_spawn(NULL, sleep_for_ever, &less[i]), 0);
	for (i = 0; i < 20; i++)
		check_eq(pirn_sleep(1 * MS), 0);
	return 0;
}

TEST(a_huge_sleep_does_not_wrap)
{
	run_on(NULL, huge, NULL);
}

static int sleep_and_stop(void *arg)
{
	check_eq(pirn_sleep(10 * MS), 0);
	return note(arg);
}

/* A core whose fibers never stop being runnable still looks at its timers. */
static int busy_core(void *arg)
{
	bool stop = false;

	(void)arg;
	check_eq(pirn_spawn(NULL, sleep_and_stop, &stop), 0);
	while (!stop)
		check_eq(pirn_yield(), 0);
	return 0;
}

TEST(a_sleep_ends_while_others_are_runnable)
{
	run_on(NULL, busy_core, NULL);
}

static atomic_bool release;

static int hold_the_core(void *arg)
{
	(void)arg;
	/* never parks: its core does nothing else */
	while (!atomic_load(&release))
		;
	return 0;
}

static int call_core_1(void *arg)
{
	check_eq(pirn_call(1, arg ? sleep_for_ever : hold_the_core, arg, NULL), 0);
	return 0;
}

static int others_busy(void *arg)
{
	struct pirn_fiber *fiber;
	uint64_t until;
	int i;

	(void)arg;
	check_eq(pirn_spawn(&fiber, call_core_1, NULL), 0);
	for (i = 0; i < 20; i++) {
		until = clock_ns() + 1 * MS;
		check_eq(pirn_sleep_until(until), 0);
		check_op(clock_ns(), >=, until);
	}
	atomic_store(&release, true);
	check_eq(pirn_join(fiber, NULL), 0);
	return 0;
}

TEST(a_sleep_ends_while_another_core_is_busy)
{
	not_simulated("a fiber that spins stops every core");
	run_on_cores(NULL, others_busy, NULL);
}

static int short_sleep(void *arg)
{
	uint64_t until = clock_ns() + *(uint64_t *)arg;

	check_eq(pirn_sleep(*(uint64_t *)arg), 0);
	check_op(clock_ns(), >=, until);
	return 0;
}

/*
 * Core 1 sleeps until a deadline that never comes: a call must end that, and
 * the nearer deadline it brings must be the one the core then sleeps for.
 */
static int asleep(void *arg)
{
	uint64_t never = UINT64_MAX / 4, nap;
	unsigned int i;

	(void)arg;
	check_eq(pirn_spawn(NULL, call_core_1, &never), 0);
	for (i = 0; i < 20; i++) {
		check_eq(pirn_sleep(5 * MS), 0);
		nap = i * MS / 4;
		check_eq(pirn_call(1, short_sleep, &nap, NULL), 0);
	}
	return 0;
}

TEST(a_call_wakes_a_core_that_sleeps)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, asleep, NULL);
}

/* ------------------------------------------------- timers that arm a timer */

static struct pirn_core timers_core;
static struct pirn_timer first_timer, second_timer, third_timer;
static unsigned int fired, second_at, third_at;

static void fire_third(struct pirn_core *core, struct pirn_timer *timer)
{
	(void)core;
	(void)timer;
	third_at = ++fired;
}

static void fire_second(struct pirn_core *core, struct pirn_timer *timer)
{
	(void)core;
	(void)timer;
	second_at = ++fired;
}

/* For a time long past, when the last timer that is due fires. */
static void fire_first(struct pirn_core *core, struct pirn_timer *timer)
{
	(void)timer;
	fired++;
	second_timer.when = 500;
	second_timer.fire = fire_second;
	pirn_timer_arm(&core->timers, &second_timer);
}

static void expire_with(bool later)
{
	fired = second_at = third_at = 0;
	pirn_timers_start(&timers_core.timers, 1000);
	first_timer.when = 2000;
	first_timer.fire = fire_first;
	pirn_timer_arm(&timers_core.timers, &first_timer);
	third_timer.when = 1 << 20;
	third_timer.fire = fire_third;
	if (later)
		pirn_timer_arm(&timers_core.timers, &third_timer);
	pirn_timers_expire(&timers_core, 1999);
	check_eq(fired, 0);
	pirn_timers_expire(&timers_core, 3000);
	check_eq(second_at, 2);
	check_eq(fired, 2);
	check(!pirn_timer_armed(&second_timer));
	pirn_timers_expire(&timers_core, 2 << 20);
	check_eq(third_at, later ? 3 : 0);
	check_eq(timers_core.timers.next, UINT64_MAX);
}

TEST(a_timer_that_fires_may_arm_one_for_the_past)
{
	expire_with(false);
	expire_with(true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sleepers_wake_by_deadline_never_early),
		cmocka_unit_test(ten_thousand_sleepers_wake_by_deadline),
		cmocka_unit_test(many_sleep_until_the_same_instant),
		cmocka_unit_test(a_deadline_in_the_past_ends_at_once),
		cmocka_unit_test(a_huge_sleep_does_not_wrap),
		cmocka_unit_test(a_sleep_ends_while_others_are_runnable),
		cmocka_unit_test(a_sleep_ends_while_another_core_is_busy),
		cmocka_unit_test(a_call_wakes_a_core_that_sleeps),
		cmocka_unit_test(a_timer_that_fires_may_arm_one_for_the_past),
	};

	return run_program(argc, argv, "time", tests, array_size(tests));
}
