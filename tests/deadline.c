// SPDX-License-Identifier: MIT
/* Scopes: deadlines and shielded sections. */
#include <errno.h>
#include <stdlib.h>

#include <pirn/scope.h>

#include "task.h"

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* ------------------------------------------------------------- deadlines */

static int deadline_there(void *arg)
{
	uint64_t deadline = *(uint64_t *)arg;
	struct pirn_scope scope;

	check_eq(pirn_scope_deadline(), deadline);
	check_eq(pirn_scope_begin(&scope, deadline + LONG), 0);
	check_eq(pirn_scope_deadline(), deadline);
	check_eq(pirn_sleep(LONG), -ETIMEDOUT);
	check_op(pirn_now(), >=, deadline);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	return 77;
}

static int inherited(void *arg)
{
	struct pirn_scope a, b, c;
	uint64_t deadline = pirn_now() + 200 * MS;
	int result = 0;

	(void)arg;
	check_eq(pirn_scope_deadline(), PIRN_NEVER);
	check_eq(pirn_scope_begin(&a, deadline), 0);
	check_eq(pirn_scope_begin(&b, PIRN_NEVER), 0);
	check_eq(pirn_scope_begin(&c, deadline + LONG), 0);
	check_eq(pirn_scope_deadline(), deadline);
	/* the callee is cut short, the caller has its true result */
	check_eq(pirn_call(1, deadline_there, &deadline, &result), 0);
	check_eq(result, 77);
	check_eq(pirn_sleep(0), -ETIMEDOUT);
	check_eq(pirn_scope_end(&c), -ETIMEDOUT);
	check_eq(pirn_scope_end(&b), -ETIMEDOUT);
	check_eq(pirn_call(1, deadline_there, &deadline, &result), -ETIMEDOUT);
	check_eq(pirn_scope_end(&a), -ETIMEDOUT);
	check_eq(pirn_sleep(0), 0);
	return 0;
}

TEST(a_deadline_holds_through_scopes_and_over_a_call)
{
	run_on_cores(NULL, inherited, NULL);
}

static int inner_first(void *arg)
{
	struct pirn_scope outer, inner;
	uint64_t deadline = pirn_now() + LONG;

	(void)arg;
	check_eq(pirn_scope_begin(&outer, deadline), 0);
	check_eq(pirn_scope_begin(&inner, pirn_now() + 5 * MS), 0);
	check_op(pirn_scope_deadline(), <, deadline);
	check_eq(pirn_sleep(LONG), -ETIMEDOUT);
	check_eq(pirn_scope_end(&inner), -ETIMEDOUT);
	check_eq(pirn_scope_deadline(), deadline);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_end(&outer), 0);
	return 0;
}

TEST(an_earlier_deadline_inside_ends_only_the_inside)
{
	run_on(NULL, inner_first, NULL);
}

static int passed(void *arg)
{
	struct pirn_scope scope;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, 1), 0);
	check_eq(pirn_cancelled(), -ETIMEDOUT);
	check_eq(pirn_scope_spawn(&scope, nothing, NULL), -ETIMEDOUT);
	check_eq(pirn_call(0, nothing, NULL, NULL), -ETIMEDOUT);
	check_eq(pirn_sleep(LONG), -ETIMEDOUT);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	return 0;
}

TEST(a_deadline_that_has_passed_refuses_at_once)
{
	run_on(NULL, passed, NULL);
}

/* The end of a deadline is an error only where it made a difference. */
static int no_difference(void *arg)
{
	struct pirn_scope scope, inner;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, pirn_now() + 2 * MS), 0);
	check_eq(pirn_shield_begin(), 0);
	check_eq(pirn_sleep(10 * MS), 0);
	check_eq(pirn_shield_end(), 0);
	check_eq(pirn_scope_end(&scope), 0);

	check_eq(pirn_scope_begin(&scope, pirn_now() + 2 * MS), 0);
	check_eq(pirn_scope_begin(&inner, PIRN_NEVER), 0);
	check_eq(pirn_shield_begin(), 0);
	check_eq(pirn_sleep(10 * MS), 0);
	check_eq(pirn_shield_end(), 0);
	check_eq(pirn_scope_end(&inner), 0);
	check_eq(pirn_cancelled(), -ETIMEDOUT);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	return 0;
}

TEST(a_deadline_that_cut_nothing_short_is_no_error)
{
	run_on(NULL, no_difference, NULL);
}

/* A timer left armed would be found in memory that is something else by then. */
static int overwritten(void *arg)
{
	struct pirn_scope *scope = malloc(sizeof(*scope));
	int i;

	(void)arg;
	check(scope);
	for (i = 0; i < 10; i++) {
		check_eq(pirn_scope_begin(scope, pirn_now() + MS / 2), 0);
		check_eq(pirn_scope_end(scope), 0);
		memset(scope, 0, sizeof(*scope));	/* one due, of nothing */
		check_eq(pirn_sleep(2 * MS), 0);
	}
	free(scope);
	return 0;
}

TEST(nothing_remembers_a_scope_that_ended)
{
	run_on(NULL, overwritten, NULL);
}

/* --------------------------------------------------------------- shields */

static int shielded(void *arg)
{
	struct pirn_scope scope, inner;

	(void)arg;
	check_eq(pirn_shield_end(), -EINVAL);
	check_eq(pirn_scope_begin(&scope, pirn_now() + LONG), 0);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(pirn_shield_begin(), 0);
	check_eq(pirn_shield_begin(), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_shield_end(), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_cancelled(), 0);
	check_eq(pirn_scope_deadline(), PIRN_NEVER);
	/* a scope here is shielded from those around, not from itself */
	check_eq(pirn_scope_begin(&inner, pirn_now() + LONG), 0);
	check_eq(pirn_cancelled(), 0);
	check_eq(pirn_shield_end(), -EINVAL);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_spawn(&inner, nothing, NULL), 0);
	check_eq(pirn_scope_cancel(&inner, -EIO), 0);
	check_eq(pirn_sleep(LONG), -ECANCELED);
	check_eq(pirn_scope_end(&inner), -EIO);
	check_eq(pirn_scope_begin(&inner, pirn_now() + 2 * MS), 0);
	check_eq(pirn_sleep(LONG), -ETIMEDOUT);
	check_eq(pirn_scope_end(&inner), -ETIMEDOUT);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_end(&scope), -EINVAL);	/* the section is open */
	check_eq(pirn_shield_end(), 0);
	check_eq(pirn_sleep(MS), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	return 0;
}

TEST(a_shielded_section_is_not_refused)
{
	run_on(NULL, shielded, NULL);
}

static int shield_in_time(void *arg)
{
	unsigned int *slept = arg;

	check_eq(pirn_shield_begin(), 0);
	check_eq(pirn_sleep(20 * MS), 0);
	check_eq(pirn_shield_end(), 0);
	++*slept;
	check_eq(pirn_sleep(LONG), -ECANCELED);
	return 0;
}

static int shield_against_cancel(void *arg)
{
	struct pirn_scope scope;
	unsigned int slept = 0;
	uint64_t began = clock_ns();

	(void)arg;
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, shield_in_time, &slept), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(slept, 0);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	check_eq(slept, 1);
	check_op(clock_ns() - began, >=, 20 * MS);
	return 0;
}

TEST(a_shielded_wait_is_not_ended_early)
{
	run_on(NULL, shield_against_cancel, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_holds_through_scopes_and_over_a_call),
		cmocka_unit_test(an_earlier_deadline_inside_ends_only_the_inside),
		cmocka_unit_test(a_deadline_that_has_passed_refuses_at_once),
		cmocka_unit_test(a_deadline_that_cut_nothing_short_is_no_error),
		cmocka_unit_test(nothing_remembers_a_scope_that_ended),
		cmocka_unit_test(a_shielded_section_is_not_refused),
		cmocka_unit_test(a_shielded_wait_is_not_ended_early),
	};

	return run_program(argc, argv, "deadline", tests, array_size(tests));
}
