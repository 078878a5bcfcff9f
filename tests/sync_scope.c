// SPDX-License-Identifier: MIT
/* Every kind of wait inside a scope that ends: before it, during it, after it. */
#include <pirn/shared.h>

#include "sync_kinds.h"
#include "waiter.h"

#if __has_include(<pirn/scope.h>)
#include <pirn/scope.h>

static const struct kind *kind;
static struct pirn_scope *innermost;

static int wait_in(uint64_t deadline, int cancel_first)
{
	struct pirn_scope scope;
	int err;

	check_eq(pirn_scope_begin(&scope, deadline), 0);
	if (cancel_first)
		check_eq(pirn_scope_cancel(&scope, cancel_first), 0);
	innermost = &scope;
	err = kind->wait(PIRN_NEVER);
	pirn_scope_end(&scope);
	return err;
}

static int cancelled_while(void *arg)
{
	(void)arg;
	return wait_in(PIRN_NEVER, 0);
}

static int cancelled_before(void *arg)
{
	(void)arg;
	return wait_in(PIRN_NEVER, -EIO);
}

static int too_late(void *arg)
{
	(void)arg;
	return wait_in(pirn_now() + 2 * MS, 0);
}

static int no_scope(void *arg)
{
	(void)arg;
	return kind->wait(PIRN_NEVER);
}

static int each_kind(void *arg)
{
	struct waiter w[4];

	(void)arg;
	for (unsigned int i = 0; i < array_size(kinds); i++) {
		kind = &kinds[i];
		print_message("# %s\n", kind->name);
		kind->block(1);
		waiter_start(&w[0], cancelled_while, NULL);
		check_eq(w[0].result, WAITS);
		check_eq(pirn_scope_cancel(innermost, -EIO), 0);
		check_eq(waiter_end(&w[0]), -ECANCELED);
		waiter_start(&w[1], cancelled_before, NULL);
		check_eq(waiter_end(&w[1]), -ECANCELED);
		waiter_start(&w[2], too_late, NULL);
		check_eq(waiter_end(&w[2]), -ETIMEDOUT);
		/* and nothing of them is left */
		waiter_start(&w[3], no_scope, NULL);
		check_eq(w[3].result, WAITS);
		kind->release();
		check_eq(waiter_end(&w[3]), 0);
		/* served, and then the scope ends: it was served */
		kind->block(1);
		waiter_start(&w[0], cancelled_while, NULL);
		kind->release();
		check_eq(pirn_scope_cancel(innermost, -EIO), 0);
		check_eq(waiter_end(&w[0]), 0);
	}
	return 0;
}

TEST(a_wait_ends_with_its_scope)
{
	run_on(NULL, each_kind, NULL);
}

/* The mutex is taken back though the scope has ended and others hold it. */
static int take_back(void *arg)
{
	struct waiter w;

	(void)arg;
	kind = &kinds[1];
	kind->block(1);
	waiter_start(&w, cancelled_while, NULL);
	check_eq(pirn_mutex_lock(&mutex), 0);
	check_eq(pirn_scope_cancel(innermost, -EIO), 0);
	settle();
	check_eq(w.result, WAITS);
	check_eq(pirn_scope_cancel(innermost, -EIO), 0);
	settle();
	check_eq(w.result, WAITS);
	check_eq(pirn_mutex_unlock(&mutex), 0);
	check_eq(waiter_end(&w), -ECANCELED);
	return 0;
}

TEST(a_condition_takes_its_mutex_back_after_the_scope)
{
	run_on(NULL, take_back, NULL);
}

/* At its home core, where another fiber waits for it. */
static int wait_there(void *arg)
{
	struct pirn_scope scope;
	int err;

	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	innermost = &scope;
	err = pirn_shared_semaphore_wait(arg, 3);
	pirn_scope_end(&scope);
	return err;
}

static int cancel_there(void *arg)
{
	struct pirn_shared_semaphore s = PIRN_SHARED_SEMAPHORE_INIT(1, 2);
	struct waiter w;

	(void)arg;
	waiter_start(&w, wait_there, &s);
	while (pirn_shared_semaphore_destroy(&s) != -EBUSY)
		check_eq(pirn_sleep(MS / 10), 0);
	check_eq(pirn_scope_cancel(innermost, -EIO), 0);
	check_eq(waiter_end(&w), -ECANCELED);
	check_eq(pirn_shared_semaphore_wait_until(&s, 2, PIRN_TRY), 0);
	return 0;
}

TEST(a_wait_at_another_core_ends_with_its_scope)
{
	run_on_cores(NULL, cancel_there, NULL);
}
#else
static void no_scopes(void)
{
	(void)kinds;
	skip_case("this library has no scopes");
}

TEST(a_wait_ends_with_its_scope)
{
	no_scopes();
}

TEST(a_condition_takes_its_mutex_back_after_the_scope)
{
	no_scopes();
}

TEST(a_wait_at_another_core_ends_with_its_scope)
{
	no_scopes();
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_ends_with_its_scope),
		cmocka_unit_test(a_condition_takes_its_mutex_back_after_the_scope),
		cmocka_unit_test(a_wait_at_another_core_ends_with_its_scope),
	};

	return run_program(argc, argv, "sync_scope", tests, array_size(tests));
}
