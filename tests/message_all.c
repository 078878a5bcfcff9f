// SPDX-License-Identifier: MIT
/* Calls on all cores: at the same time, results and errors, trees, crossing. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include <pirn/message.h>

#include "helpers.h"

#define KEEP_GOING_NS 50000u

static struct {
	atomic_uint inside;
	unsigned int seen[64];
} everywhere;

/* Ends on no core before it has begun on all. */
static int meet(void *arg)
{
	unsigned int cores = (unsigned int)pirn_core_count();

	everywhere.seen[pirn_core()]++;
	atomic_fetch_add(&everywhere.inside, 1);
	while (atomic_load(&everywhere.inside) < cores)
		check_eq(pirn_sleep(KEEP_GOING_NS), 0);
	return *(int *)arg + pirn_core();
}

static int fail_where(void *arg)
{
	int core = *(int *)arg;

	return core < 0 || core == pirn_core() ? -1000 - pirn_core() : 7;
}

static int all_cores(void *arg)
{
	int cores = pirn_core_count(), i, value = 500, results[64], own[64];
	void *args[64];

	(void)arg;
	if (cores > 64)
		skip_case("more than 64 cores");
	check_eq(pirn_call_all(meet, &value, results), 0);
	for (i = 0; i < cores; i++) {
		check_eq(results[i], 500 + i);
		check_eq(everywhere.seen[i], 1);
		own[i] = 10 * i;
		args[i] = &own[i];
	}
	check_eq(pirn_call_each(meet, args, results), 0);
	for (i = 0; i < cores; i++)
		check_eq(results[i], 11 * i);

	/* Every error is in the results; what it returns is the lowest core's. */
	value = -1;
	check_eq(pirn_call_all(fail_where, &value, results), -1000);
	for (i = 0; i < cores; i++)
		check_eq(results[i], -1000 - i);
	check(strstr(pirn_reason(), "core 0"));
	for (value = 1; value < cores; value++) {
		char name[32];

		snprintf(name, sizeof(name), "core %d:", value);
		check_eq(pirn_call_all(fail_where, &value, results), -1000 - value);
		for (i = 0; i < cores; i++)
			check_eq(results[i], i == value ? -1000 - i : 7);
		check(strstr(pirn_reason(), name));
	}
	check_eq(pirn_call_all(NULL, NULL, NULL), -EINVAL);
	check_eq(pirn_call_each(meet, NULL, results), -EINVAL);
	return 0;
}

TEST(a_call_on_all_cores_gathers)
{
	check_eq(pirn_call_all(meet, NULL, NULL), -EPERM);
	run_on_cores(NULL, all_cores, NULL);
}

/* So many that some cores pass the call on. */
TEST(a_call_on_many_cores_makes_a_tree)
{
	static const unsigned int n[] = { 16, 17, 33, 50 };
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int i;

	opt.io_depth = 2;
	opt.pool_bytes = MiB;
	opt.spin_ns = PIRN_NO_SPIN;
	for (i = 0; i < array_size(n); i++) {
		memset(&everywhere, 0, sizeof(everywhere));
		opt.cpus = shared_cpus(n[i]);
		check_eq(run_on(&opt, all_cores, NULL), 0);
	}
}

static int add_one(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
	return 0;
}

static int all_again(void *arg)
{
	return pirn_call_all(add_one, arg, NULL);
}

static int all_often(void *arg)
{
	unsigned int i, n = scaled(50, 5);
	unsigned int cores = (unsigned int)pirn_core_count();
	atomic_uint count;

	(void)arg;
	for (i = 0; i < n; i++) {
		atomic_store(&count, 0);
		check_eq(pirn_call_all(all_again, &count, NULL), 0);
		check_eq(atomic_load(&count), cores * cores);
	}
	return 0;
}

static int all_by_all(void *arg)
{
	run_fibers_everywhere(10, all_often, arg);
	return 0;
}

TEST(calls_on_all_cores_nest_and_cross)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = 1;
	opt.call_window = 2;
	run_on_cores(&opt, all_by_all, NULL);
}

#define FEW 4u

static atomic_uint staying;
static atomic_bool release;

static int stay(void *arg)
{
	(void)arg;
	atomic_fetch_add(&staying, 1);
	while (!atomic_load(&release))
		check_eq(pirn_sleep(KEEP_GOING_NS), 0);
	return 0;
}

static int stay_some(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < FEW; i++)
		check_eq(pirn_post(1, stay, NULL), 0);
	while (atomic_load(&staying) < FEW)
		check_eq(pirn_sleep(KEEP_GOING_NS), 0);
	return 0;
}

/* Where it cannot run that is an error like any other. */
static int all_but_one(void *arg)
{
	int results[64], i, zero = 99;

	stay_some(arg);
	check_eq(pirn_call_all(fail_where, &zero, results), -EAGAIN);
	for (i = 0; i < pirn_core_count(); i++)
		check_eq(results[i], i == 1 ? -EAGAIN : 7);
	atomic_store(&release, true);
	return 0;
}

TEST(a_call_on_all_cores_says_where_it_could_not)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_fibers = FEW;
	run_on_cores(&opt, all_but_one, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_on_all_cores_gathers),
		cmocka_unit_test(a_call_on_many_cores_makes_a_tree),
		cmocka_unit_test(calls_on_all_cores_nest_and_cross),
		cmocka_unit_test(a_call_on_all_cores_says_where_it_could_not),
	};

	return run_program(argc, argv, "message_all", tests, array_size(tests));
}
