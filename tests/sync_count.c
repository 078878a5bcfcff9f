// SPDX-License-Identifier: MIT
/*
 * Semaphore, event, future, barrier, gate, wait group: what each promises
 * besides sync.c.
 */
#include "waiter.h"

/* ------------------------------------------------------------- semaphore */

struct want {
	struct pirn_semaphore *semaphore;
	uint64_t units;
};

static int take(void *arg)
{
	struct want *want = arg;

	return pirn_semaphore_wait(want->semaphore, want->units);
}

static int large_first(void *arg)
{
	struct pirn_semaphore s = PIRN_SEMAPHORE_INIT(3);
	struct want large = { &s, 10 }, small = { &s, 1 }, two = { &s, 2 };
	struct waiter w[3];

	(void)arg;
	waiter_start(&w[0], take, &large);
	waiter_start(&w[1], take, &small);
	waiter_start(&w[2], take, &two);
	/* there are units for the small ones, but they came later */
	check_eq(w[1].result, WAITS);
	check_eq(pirn_semaphore_trywait(&s, 1), -EAGAIN);
	check_eq(pirn_semaphore_trywait(&s, 0), 0);
	check_eq(pirn_semaphore_post(&s, 6), 0);
	settle();
	check_eq(w[1].result, WAITS);
	check_eq(pirn_semaphore_units(&s), 9);
	check_eq(pirn_semaphore_post(&s, 2), 0);
	check_eq(waiter_end(&w[0]), 0);
	check_eq(waiter_end(&w[1]), 0);
	settle();
	check_eq(w[2].result, WAITS);
	check_eq(pirn_semaphore_units(&s), 0);
	check_eq(pirn_semaphore_destroy(&s), -EBUSY);
	check_eq(pirn_semaphore_post(&s, 5), 0);
	check_eq(waiter_end(&w[2]), 0);
	check_eq(pirn_semaphore_units(&s), 3);
	return 0;
}

TEST(a_large_request_is_not_passed_by_small_ones)
{
	run_on(NULL, large_first, NULL);
}

static int large_leaves(void *arg)
{
	struct pirn_semaphore s = PIRN_SEMAPHORE_INIT(3);
	struct want large = { &s, 10 }, small = { &s, 1 };
	struct waiter w[4];

	(void)arg;
	waiter_start(&w[0], take, &large);
	waiter_start(&w[1], take, &small);
	waiter_start(&w[2], take, &large);
	waiter_start(&w[3], take, &small);
	waiter_break(&w[0], -ECANCELED);
	settle();
	check_eq(w[0].result, -ECANCELED);
	check_eq(w[1].result, 0);
	check_eq(w[3].result, WAITS);
	check_eq(pirn_semaphore_units(&s), 2);
	waiter_break(&w[2], -ETIMEDOUT);
	settle();
	check_eq(w[3].result, 0);
	check_eq(pirn_semaphore_units(&s), 1);
	for (int i = 0; i < 4; i++)
		waiter_end(&w[i]);
	return 0;
}

TEST(a_large_request_that_gives_up_lets_small_ones_pass)
{
	run_on(NULL, large_leaves, NULL);
}

static int units_overflow(void *arg)
{
	struct pirn_semaphore s = PIRN_SEMAPHORE_INIT(UINT64_MAX - 1);

	(void)arg;
	check_eq(pirn_semaphore_post(&s, 2), -EOVERFLOW);
	check_eq(pirn_semaphore_units(&s), UINT64_MAX - 1);
	check_eq(pirn_semaphore_post(&s, 1), 0);
	check_eq(pirn_semaphore_post(&s, 1), -EOVERFLOW);
	check_eq(pirn_semaphore_wait(&s, UINT64_MAX), 0);
	check_eq(pirn_semaphore_units(&s), 0);
	return 0;
}

TEST(units_do_not_overflow)
{
	run_on(NULL, units_overflow, NULL);
}

/* ---------------------------------------------------------------- events */

static int wait_event(void *arg)
{
	return pirn_event_wait(arg);
}

static int manual_and_automatic(void *arg)
{
	struct pirn_event e = PIRN_EVENT_INIT, a = PIRN_EVENT_AUTOMATIC_INIT;
	struct waiter w[2];

	(void)arg;
	check_eq(pirn_event_set(&e), 0);
	check_eq(pirn_event_wait(&e), 0);
	check_eq(pirn_event_wait(&e), 0);
	check_eq(pirn_event_clear(&e), 0);
	check_eq(pirn_event_wait_until(&e, PIRN_TRY), -EAGAIN);
	/* who was let pass has passed, though it is cleared before it runs */
	waiter_start(&w[0], wait_event, &e);
	check_eq(pirn_event_set(&e), 0);
	check_eq(pirn_event_clear(&e), 0);
	check_eq(waiter_end(&w[0]), 0);

	check_eq(pirn_event_set(&a), 0);
	check_eq(pirn_event_set(&a), 0);
	check_eq(pirn_event_wait(&a), 0);
	check_eq(pirn_event_wait_until(&a, PIRN_TRY), -EAGAIN);
	waiter_start(&w[0], wait_event, &a);
	waiter_start(&w[1], wait_event, &a);
	check_eq(pirn_event_set(&a), 0);
	/* it went to the first, and is not set for one that comes now */
	check_eq(pirn_event_wait_until(&a, PIRN_TRY), -EAGAIN);
	check_eq(waiter_end(&w[0]), 0);
	check_eq(w[1].result, WAITS);
	/* set for one that gave up: nobody has it, it is set */
	waiter_break(&w[1], -ECANCELED);
	check_eq(pirn_event_set(&a), 0);
	check_eq(waiter_end(&w[1]), -ECANCELED);
	check_eq(pirn_event_wait_until(&a, PIRN_TRY), 0);
	check_eq(pirn_event_set(&a), 0);
	check_eq(pirn_event_destroy(&a), 0);
	check_eq(pirn_event_wait_until(&a, PIRN_TRY), -EAGAIN);
	return 0;
}

TEST(an_automatic_event_lets_one_pass)
{
	run_on(NULL, manual_and_automatic, NULL);
}

/* --------------------------------------------------------------- futures */

struct promise {
	struct pirn_future *future;
	int64_t got;
};

static int get(void *arg)
{
	struct promise *p = arg;

	return pirn_future_wait(p->future, &p->got);
}

static int once(void *arg)
{
	struct pirn_future *f = malloc(sizeof(*f));
	struct pirn_future failed = PIRN_FUTURE_INIT;
	struct promise p[3];
	struct waiter w[3];
	int64_t value = 0;

	(void)arg;
	*f = (struct pirn_future)PIRN_FUTURE_INIT;
	for (int i = 0; i < 3; i++) {
		p[i] = (struct promise){ f, 0 };
		waiter_start(&w[i], get, &p[i]);
	}
	check_eq(pirn_future_is_set(f), 0);
	check_eq(pirn_future_set(f, 5, 0), -EINVAL);
	check_eq(pirn_future_set(f, 0, INT64_MIN), 0);
	check_eq(pirn_future_set(f, 0, 1), -EALREADY);
	check_eq(pirn_future_set(f, -EIO, 1), -EALREADY);
	check_eq(pirn_future_is_set(f), 1);
	check_eq(pirn_future_wait(f, NULL), 0);
	check_eq(pirn_future_wait(f, &value), 0);
	check_eq(value, INT64_MIN);
	/* those who were woken do not look at it again */
	memset(f, 0x5a, sizeof(*f));
	free(f);
	for (int i = 0; i < 3; i++) {
		check_eq(waiter_end(&w[i]), 0);
		check_eq(p[i].got, INT64_MIN);
	}

	p[0] = (struct promise){ &failed, 0 };
	waiter_start(&w[0], get, &p[0]);
	check_eq(pirn_future_set(&failed, -ENOSPC, 12), 0);
	check_eq(waiter_end(&w[0]), -ENOSPC);
	check_eq(p[0].got, 12);
	check_eq(pirn_future_wait(&failed, NULL), -ENOSPC);
	check_eq(pirn_future_destroy(&failed), 0);
	check_eq(pirn_future_is_set(&failed), 0);
	return 0;
}

TEST(a_future_is_set_once_for_all)
{
	run_on(NULL, once, NULL);
}

/* --------------------------------------------------------------- barrier */

struct race {
	struct pirn_barrier barrier;
	unsigned int in_round[20];
	unsigned int serial;
};

static int rounds(void *arg)
{
	struct race *race = arg;
	struct rng rng = { (uintptr_t)pirn_self() };
	int got;

	for (unsigned int round = 0; round < 20; round++) {
		for (uint64_t n = rng_below(&rng, 4); n; n--)
			check_eq(pirn_yield(), 0);
		race->in_round[round]++;
		got = pirn_barrier_wait(&race->barrier);
		check(got == 0 || got == PIRN_BARRIER_SERIAL);
		/* nobody passes before all have come */
		check_eq(race->in_round[round], 7);
		race->serial += got == PIRN_BARRIER_SERIAL;
	}
	return 0;
}

static int barrier_rounds(void *arg)
{
	struct race race = { .barrier = PIRN_BARRIER_INIT(7) };
	struct pirn_barrier none = PIRN_BARRIER_INIT(0);
	struct pirn_barrier one = PIRN_BARRIER_INIT(1);

	(void)arg;
	run_fibers(7, rounds, &race);
	check_eq(race.serial, 20);
	check_eq(pirn_barrier_wait(&none), -EINVAL);
	check_eq(pirn_barrier_wait(&one), PIRN_BARRIER_SERIAL);
	return 0;
}

TEST(a_barrier_holds_all_until_the_last_has_come)
{
	run_on(NULL, barrier_rounds, NULL);
}

static int come(void *arg)
{
	return pirn_barrier_wait(arg);
}

static int barrier_left(void *arg)
{
	struct pirn_barrier b = PIRN_BARRIER_INIT(3);
	struct waiter w[4];

	(void)arg;
	waiter_start(&w[0], come, &b);
	waiter_start(&w[1], come, &b);
	waiter_break(&w[0], -ECANCELED);
	waiter_start(&w[2], come, &b);
	check_eq(waiter_end(&w[0]), -ECANCELED);
	/* two have come, not three */
	check_eq(w[1].result, WAITS);
	check_eq(w[2].result, WAITS);
	check_eq(pirn_barrier_wait_until(&b, pirn_now() + MS),
		 PIRN_BARRIER_SERIAL);
	check_eq(waiter_end(&w[1]), 0);
	check_eq(waiter_end(&w[2]), 0);
	/* tried is not come */
	for (int i = 0; i < 5; i++)
		check_eq(pirn_barrier_wait_until(&b, PIRN_TRY), -EAGAIN);
	waiter_start(&w[3], come, &b);
	check_eq(pirn_barrier_wait_until(&b, pirn_now() + MS), -ETIMEDOUT);
	check_eq(pirn_barrier_destroy(&b), -EBUSY);
	waiter_break(&w[3], -ECANCELED);
	check_eq(waiter_end(&w[3]), -ECANCELED);
	check_eq(pirn_barrier_destroy(&b), 0);
	return 0;
}

TEST(who_gives_up_has_not_come_to_a_barrier)
{
	run_on(NULL, barrier_left, NULL);
}

/* ------------------------------------------------------ gate, wait group */

static int close_gate(void *arg)
{
	return pirn_gate_close(arg);
}

static int gates(void *arg)
{
	struct pirn_gate g = PIRN_GATE_INIT;
	struct waiter w[2];

	(void)arg;
	check_eq(pirn_gate_leave(&g), -EPERM);
	check_eq(pirn_gate_enter(&g), 0);
	check_eq(pirn_gate_enter(&g), 0);
	waiter_start(&w[0], close_gate, &g);
	waiter_start(&w[1], close_gate, &g);
	check_eq(pirn_gate_enter(&g), -ESHUTDOWN);
	check_eq(pirn_gate_leave(&g), 0);
	settle();
	check_eq(w[0].result, WAITS);
	/* giving up waiting does not open it */
	waiter_break(&w[0], -ECANCELED);
	check_eq(waiter_end(&w[0]), -ECANCELED);
	check_eq(pirn_gate_enter(&g), -ESHUTDOWN);
	check_eq(pirn_gate_destroy(&g), -EBUSY);
	check_eq(pirn_gate_leave(&g), 0);
	check_eq(waiter_end(&w[1]), 0);
	check_eq(pirn_gate_close(&g), 0);
	check_eq(pirn_gate_enter(&g), -ESHUTDOWN);
	check_eq(pirn_gate_destroy(&g), 0);
	check_eq(pirn_gate_enter(&g), 0);
	return 0;
}

TEST(a_closed_gate_lets_out_and_not_in)
{
	run_on(NULL, gates, NULL);
}

static int wait_group(void *arg)
{
	return pirn_wait_group_wait(arg);
}

static int groups(void *arg)
{
	struct pirn_wait_group g = PIRN_WAIT_GROUP_INIT;
	struct waiter w[2];

	(void)arg;
	check_eq(pirn_wait_group_wait(&g), 0);
	check_eq(pirn_wait_group_done(&g), -EPERM);
	check_eq(pirn_wait_group_add(&g, 2), 0);
	check_eq(pirn_wait_group_add(&g, UINT64_MAX), -EOVERFLOW);
	waiter_start(&w[0], wait_group, &g);
	waiter_start(&w[1], wait_group, &g);
	check_eq(pirn_wait_group_done(&g), 0);
	check_eq(pirn_wait_group_add(&g, 1), 0);
	check_eq(pirn_wait_group_done(&g), 0);
	settle();
	check_eq(w[0].result, WAITS);
	check_eq(pirn_wait_group_destroy(&g), -EBUSY);
	check_eq(pirn_wait_group_done(&g), 0);
	/* all that waited go on, though there is more again before they run */
	check_eq(pirn_wait_group_add(&g, 1), 0);
	check_eq(waiter_end(&w[0]), 0);
	check_eq(waiter_end(&w[1]), 0);
	check_eq(pirn_wait_group_wait_until(&g, PIRN_TRY), -EAGAIN);
	check_eq(pirn_wait_group_done(&g), 0);
	check_eq(pirn_wait_group_destroy(&g), 0);
	return 0;
}

TEST(a_wait_group_is_waited_for_until_all_is_done)
{
	run_on(NULL, groups, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_request_is_not_passed_by_small_ones),
		cmocka_unit_test(a_large_request_that_gives_up_lets_small_ones_pass),
		cmocka_unit_test(units_do_not_overflow),
		cmocka_unit_test(an_automatic_event_lets_one_pass),
		cmocka_unit_test(a_future_is_set_once_for_all),
		cmocka_unit_test(a_barrier_holds_all_until_the_last_has_come),
		cmocka_unit_test(who_gives_up_has_not_come_to_a_barrier),
		cmocka_unit_test(a_closed_gate_lets_out_and_not_in),
		cmocka_unit_test(a_wait_group_is_waited_for_until_all_is_done),
	};

	return run_program(argc, argv, "sync_count", tests, array_size(tests));
}
