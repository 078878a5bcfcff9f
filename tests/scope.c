// SPDX-License-Identifier: MIT
/* Scopes: ending, errors, nesting, deadlines, shields. */
#include <errno.h>
#include <stdlib.h>

#include "helpers.h"

#include <pirn/scope.h>
#include <pirn/sync.h>

#define MS 1000000ull
#define LONG (100000 * MS)

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int sleep_long(void *arg)
{
	(void)arg;
	return pirn_sleep(LONG);
}

/* ---------------------------------------------------------------- ending */

struct count {
	struct pirn_scope *scope;
	unsigned int begun;
	unsigned int ended;
};

static int sleep_some(void *arg)
{
	struct count *count = arg;

	check_eq(pirn_sleep(++count->begun % 7 * MS), 0);
	count->ended++;
	return 5;	/* no error: dropped */
}

static int sleep_then_spawn(void *arg)
{
	struct count *count = arg;

	check_eq(pirn_sleep(10 * MS), 0);
	check_eq(pirn_scope_spawn(count->scope, sleep_some, count), 0);
	return 0;
}

static int end_waits(void *arg)
{
	struct pirn_scope scope;
	struct count count = { &scope, 0, 0 };
	int i;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	for (i = 0; i < 20; i++)
		check_eq(pirn_scope_spawn(&scope, sleep_some, &count), 0);
	check_eq(pirn_scope_end(&scope), 0);
	check_eq(count.ended, 20);
	/* members may spawn while the end is waited for */
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	for (i = 0; i < 5; i++)
		check_eq(pirn_scope_spawn(&scope, sleep_then_spawn, &count), 0);
	check_eq(pirn_scope_end(&scope), 0);
	check_eq(count.ended, 25);
	/* and an empty one ends at once */
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_end(&scope), 0);
	return 0;
}

TEST(a_scope_ends_when_all_its_fibers_have)
{
	run_on(NULL, end_waits, NULL);
}

struct rest {
	struct pirn_scope scope;
	struct pirn_fiber *stays;	/* outside: parked throughout */
	struct pirn_mutex mutex;	/* held by who began the scope */
	unsigned int refused;
};

static int rest_sleeps(void *arg)
{
	struct rest *r = arg;

	check_eq(pirn_sleep(LONG), -ECANCELED);
	r->refused++;
	/* and again, at the entry */
	check_eq(pirn_sleep(LONG), -ECANCELED);
	check_eq(pirn_cancelled(), -ECANCELED);
	return -ECANCELED;
}

static int rest_parks(void *arg)
{
	struct rest *r = arg;

	check_eq(pirn_park(), -ECANCELED);
	r->refused++;
	return 0;
}

static int rest_joins(void *arg)
{
	struct rest *r = arg;

	check_eq(pirn_join(r->stays, NULL), -ECANCELED);
	r->refused++;
	return 0;
}

static int rest_locks(void *arg)
{
	struct rest *r = arg;

	check_eq(pirn_mutex_lock(&r->mutex), -ECANCELED);
	r->refused++;
	return 0;
}

static int rest_waits_in_a_scope(void *arg)
{
	struct rest *r = arg;
	struct pirn_scope scope;

	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, sleep_long, NULL), 0);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	r->refused++;
	return 0;
}

static int fails_later(void *arg)
{
	(void)arg;
	check_eq(pirn_sleep(5 * MS), 0);
	return -EDOM;
}

static int park_once(void *arg)
{
	(void)arg;
	return pirn_park();
}

static int first_error(void *arg)
{
	struct rest r = { .refused = 0 };
	int result;

	(void)arg;
	check_eq(pirn_spawn(&r.stays, park_once, NULL), 0);
	check_eq(pirn_scope_begin(&r.scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&r.scope, rest_sleeps, &r), 0);
	check_eq(pirn_scope_spawn(&r.scope, rest_parks, &r), 0);
	check_eq(pirn_scope_spawn(&r.scope, rest_joins, &r), 0);
	check_eq(pirn_mutex_lock(&r.mutex), 0);
	check_eq(pirn_scope_spawn(&r.scope, rest_locks, &r), 0);
	check_eq(pirn_scope_spawn(&r.scope, rest_waits_in_a_scope, &r), 0);
	check_eq(pirn_scope_spawn(&r.scope, fails_later, &r), 0);
	/* who began it is inside, too */
	check_eq(pirn_sleep(LONG), -ECANCELED);
	check_eq(pirn_scope_spawn(&r.scope, nothing, NULL), -ECANCELED);
	check_eq(pirn_scope_end(&r.scope), -EDOM);
	check_eq(r.refused, 5);
	check_eq(pirn_mutex_unlock(&r.mutex), 0);
	/* outside nothing has changed, and the join is still to be done */
	check_eq(pirn_cancelled(), 0);
	check_eq(pirn_unpark(r.stays), 0);
	check_eq(pirn_join(r.stays, &result), 0);
	check_eq(result, 0);
	return 0;
}

TEST(the_first_error_ends_the_rest)
{
	run_on(NULL, first_error, NULL);
}

static int returns_arg(void *arg)
{
	return *(int *)arg;
}

static int which_error(void *arg)
{
	static int a = -EDOM, b = -ERANGE, late = -ETIMEDOUT;
	struct pirn_scope scope;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, returns_arg, &a), 0);
	check_eq(pirn_scope_spawn(&scope, returns_arg, &b), 0);
	check_eq(pirn_scope_end(&scope), -EDOM);

	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, returns_arg, &a), 0);
	check_eq(pirn_scope_cancel(&scope, -ENOSPC), 0);
	check_eq(pirn_scope_cancel(&scope, -EIO), 0);
	/* whatever the error, a call that did nothing says one of two */
	check_eq(pirn_cancelled(), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -ENOSPC);

	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, returns_arg, &late), 0);
	check_eq(pirn_sleep(LONG), -ETIMEDOUT);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	return 0;
}

TEST(end_returns_the_first_error_in_time)
{
	run_on(NULL, which_error, NULL);
}

static int is_outside(void *arg)
{
	unsigned int *done = arg;

	check_eq(pirn_scope_deadline(), PIRN_NEVER);
	check_eq(pirn_sleep(5 * MS), 0);
	check_eq(pirn_cancelled(), 0);
	++*done;
	return -EIO;
}

static int spawned_outside(void *arg)
{
	struct pirn_scope scope;
	struct pirn_fiber *fiber;
	unsigned int done = 0;
	int result;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, pirn_now() + LONG), 0);
	check_eq(pirn_spawn(&fiber, is_outside, &done), 0);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	check_eq(done, 0);
	check_eq(pirn_join(fiber, &result), 0);
	check_eq(result, -EIO);
	check_eq(done, 1);
	return 0;
}

TEST(fibers_of_pirn_spawn_are_outside)
{
	run_on(NULL, spawned_outside, NULL);
}

/* --------------------------------------------------------------- nesting */

#define DEPTH 50

struct nest {
	struct pirn_scope *cut;		/* where to cancel, at depth `at` */
	unsigned int at;
	unsigned int deepest;
};

static int nest_member(void *arg);

/* One scope in the other, each second in a fiber of its own. */
static int nest_down(struct nest *n)
{
	unsigned int depth = n->deepest++;
	struct pirn_scope scope;
	int err;

	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	if (depth == n->at)
		n->cut = &scope;
	if (depth == DEPTH)
		err = pirn_sleep(LONG);
	else if (depth % 2)
		err = pirn_scope_spawn(&scope, nest_member, n);
	else
		err = nest_down(n);
	if (depth % 2)
		check_eq(err, depth == DEPTH ? -ECANCELED : 0);
	err = pirn_scope_end(&scope);
	/* those further out go on */
	check_eq(err, depth >= n->at ? -ECANCELED : 0);
	check_eq(pirn_cancelled(), depth > n->at ? -ECANCELED : 0);
	return 0;
}

static int nest_member(void *arg)
{
	return nest_down(arg);
}

static int cut(void *arg)
{
	struct nest *n = arg;

	while (n->deepest <= DEPTH)
		check_eq(pirn_yield(), 0);
	check_eq(pirn_scope_cancel(n->cut, -ECANCELED), 0);
	return 0;
}

static int nested(void *arg)
{
	struct nest n;
	struct pirn_fiber *fiber;

	(void)arg;
	for (n.at = 0; n.at <= DEPTH; n.at += 7) {
		n.deepest = 0;
		check_eq(pirn_spawn(&fiber, cut, &n), 0);
		check_eq(nest_down(&n), 0);
		check_eq(pirn_join(fiber, NULL), 0);
	}
	return 0;
}

TEST(what_ends_a_scope_ends_all_inside_and_none_around)
{
	run_on(NULL, nested, NULL);
}

/* ---------------------------------------------------------------- misuse */

static int ends_anothers(void *arg)
{
	check_eq(pirn_scope_end(arg), -EINVAL);
	check_eq(pirn_scope_spawn(arg, nothing, NULL), -EINVAL);
	return 0;
}

static int cancels_from_afar(void *arg)
{
	check_eq(pirn_scope_cancel(arg, -ECANCELED), -EXDEV);
	check_eq(pirn_scope_spawn(arg, nothing, NULL), -EINVAL);
	check_eq(pirn_scope_end(arg), -EINVAL);
	return 0;
}

static int misuse(void *arg)
{
	struct pirn_scope a, b;

	(void)arg;
	check_eq(pirn_scope_begin(NULL, PIRN_NEVER), -EINVAL);
	check_eq(pirn_scope_end(NULL), -EINVAL);
	check_eq(pirn_scope_cancel(NULL, -EIO), -EINVAL);
	check_eq(pirn_scope_spawn(NULL, nothing, NULL), -EINVAL);
	check_eq(pirn_scope_begin(&a, PIRN_NEVER), 0);
	check_eq(pirn_scope_begin(&a, PIRN_NEVER), -EINVAL);
	check_eq(pirn_scope_begin(&b, PIRN_NEVER), 0);
	check_eq(pirn_scope_begin(&a, PIRN_NEVER), -EINVAL);
	check_eq(pirn_scope_end(&a), -EDEADLK);
	run_fibers(1, ends_anothers, &b);
	check_eq(pirn_call(1, cancels_from_afar, &b, NULL), 0);
	check_eq(pirn_scope_spawn(&b, NULL, NULL), -EINVAL);
	check_eq(pirn_scope_cancel(&b, 0), -EINVAL);
	check_eq(pirn_scope_cancel(&b, 5), -EINVAL);
	check_eq(pirn_scope_end(&b), 0);
	check_eq(pirn_scope_end(&b), -EINVAL);
	check_eq(pirn_scope_cancel(&b, -EIO), -EINVAL);
	check_eq(pirn_scope_spawn(&b, nothing, NULL), -EINVAL);
	check_eq(pirn_cancelled(), 0);
	check_eq(pirn_scope_end(&a), 0);
	return 0;
}

TEST(misuse_is_refused)
{
	struct pirn_cleanup cleanup;
	struct pirn_scope scope;

	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), -EPERM);
	check_eq(pirn_scope_end(&scope), -EPERM);
	check_eq(pirn_scope_cancel(&scope, -EIO), -EPERM);
	check_eq(pirn_scope_spawn(&scope, nothing, NULL), -EPERM);
	check_eq(pirn_scope_deadline(), PIRN_NEVER);
	check_eq(pirn_cancelled(), -EPERM);
	check_eq(pirn_shield_begin(), -EPERM);
	check_eq(pirn_shield_end(), -EPERM);
	check_eq(pirn_cleanup_push(&cleanup, free, NULL), -EPERM);
	check_eq(pirn_cleanup_pop(&cleanup, 1), -EPERM);
	check_eq(pirn_exit(3), -EPERM);
	check_eq(pirn_pread_give(NULL, NULL, 0, 0, 0), -EPERM);
	run_on_cores(NULL, misuse, NULL);
}

/* ------------------------------------------------------------------ many */

static int many_sleep(void *arg)
{
	unsigned int *refused = arg;

	if (pirn_sleep(LONG) == -ECANCELED)
		++*refused;
	return 0;
}

static int many(void *arg)
{
	unsigned int i, n = scaled(10000, 2000), refused = 0;
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct pirn_scope scope;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, pirn_now() + LONG), 0);
	for (i = 0; i < n; i++)
		check_eq(pirn_scope_spawn(&scope, many_sleep, &refused), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_cancel(&scope, -EINTR), 0);
	check_eq(pirn_scope_end(&scope), -EINTR);
	check_eq(refused, n);
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.fibers, 1);
	return 0;
}

TEST(ten_thousand_fibers_end_with_their_scope)
{
	run_on(NULL, many, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scope_ends_when_all_its_fibers_have),
		cmocka_unit_test(the_first_error_ends_the_rest),
		cmocka_unit_test(end_returns_the_first_error_in_time),
		cmocka_unit_test(fibers_of_pirn_spawn_are_outside),
		cmocka_unit_test(what_ends_a_scope_ends_all_inside_and_none_around),
		cmocka_unit_test(misuse_is_refused),
		cmocka_unit_test(ten_thousand_fibers_end_with_their_scope),
	};

	return run_program(argc, argv, "scope", tests, array_size(tests));
}
