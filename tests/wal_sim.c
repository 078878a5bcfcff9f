// SPDX-License-Identifier: MIT
/*
 * The example engine in the simulator: a crash, with every fault, loses nothing
 * that was answered.  A few seeds, so that each run of the suite looks; many with
 * "pirn sim --seeds 10000 build/plain/tests/wal/sim".
 */
#include "helpers.h"
#include "scenario.h"

static bool seeds(unsigned int n, const char *faults)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	char why[128];

	if (faults)
		check_eq(pirn_sim_options_parse(&opt, faults, why, sizeof(why)), 0);
	for (opt.seed = 1; opt.seed <= n; opt.seed++)
		if (!scenario_run(&opt))
			return false;
	check_op(scenario_totals.commits, >, 10 * n);
	check_op(scenario_totals.crashes, >, n);
	return true;
}

#define MANY (UNDER_ASAN ? scaled(100, 30) : scaled(400, 30))

TEST(no_fault_that_can_be_survived_loses_a_commit)
{
	check(seeds(MANY, NULL));
}

TEST(recovery_from_what_was_not_durable_survives_a_crash)
{
	check(seeds(3 * MANY, "faults=eio_write:20000:8+reorder+torn:1000000"));
}

TEST(the_worst_faults_never_give_wrong_data)
{
	scenario_args.detect = true;
	check(seeds(MANY, NULL));
}

TEST(without_the_flush_commits_are_lost)
{
	scenario_args.no_flush = true;
	check(!seeds(1000, "faults=lost+reorder+torn"));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_fault_that_can_be_survived_loses_a_commit),
		cmocka_unit_test(recovery_from_what_was_not_durable_survives_a_crash),
		cmocka_unit_test(the_worst_faults_never_give_wrong_data),
		cmocka_unit_test(without_the_flush_commits_are_lost),
	};

	return run_program(argc, argv, "wal_sim", tests, array_size(tests));
}
