// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounting: what is charged to a user, with and without CAP_IPC_LOCK.
 */
#include "memory.c"
#include "fixture.h"

#define LIMIT_PAGES	100ul

struct charge_world {
	struct user_struct	user;
	const struct cred	*old;
	struct cred		*cred;
};

/* The case has a thread, and so limits, of its own. */
static int charge_init(struct kunit *test)
{
	struct charge_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, w->cred);
	w->cred->cap_effective = (kernel_cap_t) {};
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur =
		LIMIT_PAGES << PAGE_SHIFT;
	test->priv = w;
	return 0;
}

static void charge_exit(struct kunit *test)
{
	struct charge_world *w = test->priv;

	put_cred(w->cred);
}

static int charge_as_nobody(struct charge_world *w, unsigned long nr_pages)
{
	int err;

	w->old = override_creds(w->cred);
	err = pirn_charge(&w->user, nr_pages);
	revert_creds(w->old);
	return err;
}

static void charge_stops_at_the_limit(struct kunit *test)
{
	struct charge_world *w = test->priv;

	KUNIT_EXPECT_EQ(test, charge_as_nobody(w, LIMIT_PAGES - 1), 0);
	KUNIT_EXPECT_EQ(test, charge_as_nobody(w, 2), -ENOMEM);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&w->user.locked_vm),
			LIMIT_PAGES - 1);
	KUNIT_EXPECT_EQ(test, charge_as_nobody(w, 1), 0);
	KUNIT_EXPECT_EQ(test, charge_as_nobody(w, 1), -ENOMEM);
	pirn_uncharge(&w->user, 1);
	KUNIT_EXPECT_EQ(test, charge_as_nobody(w, 1), 0);
	pirn_uncharge(&w->user, LIMIT_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&w->user.locked_vm), 0);
}

static void charge_with_the_capability(struct kunit *test)
{
	struct charge_world *w = test->priv;

	KUNIT_EXPECT_EQ(test, pirn_charge(&w->user, LIMIT_PAGES + 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&w->user.locked_vm),
			LIMIT_PAGES + 1);
	pirn_uncharge(&w->user, LIMIT_PAGES + 1);
}

/* Not even then: the sum would be a small number. */
static void charge_does_not_wrap(struct kunit *test)
{
	struct charge_world *w = test->priv;

	KUNIT_EXPECT_EQ(test, pirn_charge(&w->user, 5), 0);
	KUNIT_EXPECT_EQ(test, pirn_charge(&w->user, ULONG_MAX - 3), -ENOMEM);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&w->user.locked_vm), 5);
	pirn_uncharge(&w->user, 5);
}

static struct kunit_case charge_cases[] = {
	KUNIT_CASE(charge_stops_at_the_limit),
	KUNIT_CASE(charge_with_the_capability),
	KUNIT_CASE(charge_does_not_wrap),
	{}
};

static struct kunit_suite charge_suite = {
	.name = "pirn_charge",
	.init = charge_init,
	.exit = charge_exit,
	.test_cases = charge_cases,
};

kunit_test_suite(charge_suite);
