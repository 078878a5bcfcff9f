// SPDX-License-Identifier: MIT
/*
 * Nodes of a simulated world: their lives, crashes and ends, the end of a world
 * in which nothing can happen, and its limits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim_helpers.h"

static int give(void *arg)
{
	return *(int *)arg;
}

static int give_late(void *arg)
{
	check_eq(pirn_sleep(5 * MS), 0);
	return *(int *)arg;
}

static int never(void *arg)
{
	(void)arg;
	for (;;)
		check_eq(pirn_sleep(MS), 0);
}

TEST(nodes_share_time_and_nothing_else)
{
	struct pirn_sim *sim = world(NULL);
	int seven = 7, eight = 8, result = 0;

	sim_eq(sim, pirn_sim_result(sim, 3, &result), -ENOENT);
	sim_eq(sim, pirn_sim_start(sim, 3, NULL, give_late, &seven), 0);
	sim_eq(sim, pirn_sim_start(sim, 63, NULL, give, &eight), 0);
	sim_eq(sim, pirn_sim_result(sim, 3, &result), -EAGAIN);
	sim_eq(sim, pirn_sim_start(sim, 3, NULL, give, &eight), -EBUSY);
	/* the one has ended, the other not */
	sim_eq(sim, pirn_sim_run(sim, 1002 * MS), PIRN_SIM_TIME);
	check_eq(pirn_sim_now(sim), 1002 * MS);
	sim_eq(sim, pirn_sim_result(sim, 63, &result), 0);
	check_eq(result, 8);
	sim_eq(sim, pirn_sim_result(sim, 3, &result), -EAGAIN);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), PIRN_SIM_ENDED);
	check_op(pirn_sim_now(sim), >=, 1005 * MS);
	sim_eq(sim, pirn_sim_result(sim, 3, &result), 0);
	check_eq(result, 7);
	/* and again, now */
	sim_eq(sim, pirn_sim_start(sim, 3, NULL, give, &eight), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), PIRN_SIM_ENDED);
	sim_eq(sim, pirn_sim_result(sim, 3, &result), 0);
	check_eq(result, 8);
	pirn_sim_destroy(sim);
}

TEST(what_is_wrong_is_told)
{
	struct pirn_options rt = PIRN_OPTIONS_INIT;
	struct pirn_sim *sim = world(NULL);
	int result;

	check_eq(pirn_sim_start(sim, 64, NULL, give, NULL), -EINVAL);
	check(strstr(pirn_sim_message(sim), "64"));
	check_eq(pirn_sim_start(sim, 0, NULL, NULL, NULL), -EINVAL);
	rt.io_depth = 1;
	check_eq(pirn_sim_start(sim, 0, &rt, give, NULL), -EINVAL);
	check(strstr(pirn_sim_message(sim), "io_depth"));
	check_eq(pirn_sim_result(sim, 0, &result), -ENOENT);
	check_eq(pirn_sim_result(sim, 64, &result), -ENOENT);
	check_eq(pirn_sim_crash(sim, 9), -EINVAL);
	check_eq(pirn_sim_disk(sim, 0, "d", 1000, 512), -EINVAL);
	check_eq(pirn_sim_disk(sim, 0, "d", 1024, 1024), -EINVAL);
	check_eq(pirn_sim_disk(sim, 0, "", 1024, 512), -EINVAL);
	check_eq(pirn_sim_disk(sim, 0, "d", 1024, 512), 0);
	check_eq(pirn_sim_disk(sim, 0, "./d", 1024, 512), -EEXIST);
	check_eq(pirn_sim_counts(sim, &(struct pirn_sim_counts){ 0 }), -EINVAL);
	pirn_sim_destroy(sim);
	pirn_sim_destroy(NULL);
}

TEST(each_option_has_its_range)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "", true }, { "seed=18446744073709551615", true },
		{ "seed=18446744073709551616", false }, { "seed=x", false },
		{ "seed=", false }, { "seed", false }, { "seed=-1", false },
		{ "cores=1024", true }, { "cores=1025", false },
		{ "block=4096", true }, { "block=1024", false },
		{ "turn_min=3000", false }, { "turn_min=2000", true },
		{ "wake_max=499", false }, { "wake_max=500", true },
		{ "switches=64", true }, { "switches=65", false },
		{ "shuffle=0", true }, { "shuffle=1000000", true },
		{ "shuffle=1000001", false }, { "import=2", false },
		{ "cache=4095", false }, { "faults=", true },
		{ "faults=torn", true }, { "faults=torn:", false },
		{ "faults=torn:1000000:4294967295+lost", true },
		{ "faults=torn:1000001", false }, { "faults=+torn", false },
		{ "faults=torn:1:4294967296", false }, { "faults=t", false },
		{ "seed=1,,cores=2", true }, { "seed=1,bogus=2", false },
	};
	struct pirn_sim_options opt, longer;
	struct pirn_sim *sim;
	char why[256];
	unsigned int i;

	for (i = 0; i < array_size(cases); i++) {
		int err;

		opt = (struct pirn_sim_options)PIRN_SIM_OPTIONS_INIT;
		why[0] = '\0';
		err = pirn_sim_options_parse(&opt, cases[i].text, why,
					     sizeof(why));
		if (!err) {
			err = pirn_sim_create(&sim, &opt, why, sizeof(why));
			if (!err)
				pirn_sim_destroy(sim);
		}
		if ((err == 0) != cases[i].good ||
		    (err && (err != -EINVAL || strlen(why) < 5)))
			check_failed(__FILE__, __LINE__, "'%s': %d %s",
				     cases[i].text, err, why);
	}
	opt = (struct pirn_sim_options)PIRN_SIM_OPTIONS_INIT;
	check_eq(pirn_sim_options_parse(&opt, "faults=torn+lost:7:3", NULL, 0), 0);
	check_eq(opt.fault[PIRN_SIM_TORN].rate, 500000);
	check_eq(opt.fault[PIRN_SIM_TORN].most, 0);
	check_eq(opt.fault[PIRN_SIM_LOST].rate, 7);
	check_eq(opt.fault[PIRN_SIM_LOST].most, 3);
	/* what no version knows */
	longer = opt;
	longer.fault[PIRN_SIM_FAULTS].rate = 1;
	check_eq(pirn_sim_create(&sim, &longer, why, sizeof(why)), -EINVAL);
	/* what stands for no shuffle is no number of cores */
	longer = opt;
	longer.shuffle = PIRN_SIM_NO_SHUFFLE;
	longer.cores = PIRN_SIM_NO_SHUFFLE;
	check_eq(pirn_sim_create(&sim, &longer, why, sizeof(why)), -EINVAL);
	longer = opt;
	longer.reserved = 1;
	check_eq(pirn_sim_create(&sim, &longer, NULL, 0), -EINVAL);
	longer = opt;
	longer.size = 8;
	check_eq(pirn_sim_create(&sim, &longer, NULL, 0), -EINVAL);
	check(strcmp(pirn_sim_fault_name(PIRN_SIM_TORN), "torn") == 0);
	check(!pirn_sim_fault_name(PIRN_SIM_FAULTS));
}

static int count_cores(void *arg)
{
	(void)arg;
	return pirn_core_count();
}

TEST(a_node_has_the_cores_it_is_told)
{
	struct pirn_options rt = PIRN_OPTIONS_INIT;
	struct pirn_sim_options opt = with_seed(0);
	struct pirn_sim *sim;
	int result;

	check_eq(live_in(NULL, count_cores, NULL, NULL), 4);
	opt.cores = 9;
	check_eq(live_in(&opt, count_cores, NULL, NULL), 9);
	/* CPUs that are named need not be there */
	sim = world(NULL);
	rt.cpus = "4000-4099";
	sim_eq(sim, pirn_sim_start(sim, 0, &rt, count_cores, NULL), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), 0);
	sim_eq(sim, pirn_sim_result(sim, 0, &result), 0);
	check_eq(result, 100);
	pirn_sim_destroy(sim);
}

/* ------------------------------------------------------------------ crashes */

TEST(a_crashed_node_is_gone)
{
	struct pirn_sim *sim = world(NULL);
	int six = 6, result;

	sim_eq(sim, pirn_sim_start(sim, 0, NULL, never, NULL), 0);
	sim_eq(sim, pirn_sim_start(sim, 1, NULL, give_late, &six), 0);
	sim_eq(sim, pirn_sim_run(sim, 1002 * MS), PIRN_SIM_TIME);
	sim_eq(sim, pirn_sim_crash(sim, 0), 0);
	sim_eq(sim, pirn_sim_result(sim, 0, &result), -ECANCELED);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), PIRN_SIM_ENDED);
	sim_eq(sim, pirn_sim_result(sim, 1, &result), 0);
	check_eq(result, 6);
	sim_eq(sim, pirn_sim_start(sim, 0, NULL, give, &six), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), PIRN_SIM_ENDED);
	sim_eq(sim, pirn_sim_result(sim, 0, &result), 0);
	check_eq(result, 6);
	pirn_sim_destroy(sim);
}

static struct pirn_sim *the_sim;
static unsigned int after_crash;

static int runs_after(void *arg)
{
	(void)arg;
	after_crash++;
	return 0;
}

static int crashes_itself(void *arg)
{
	check_eq(pirn_spawn(NULL, runs_after, NULL), 0);
	check_eq(pirn_sim_crash(the_sim, 0), 0);
	/* goes on until it parks */
	*(int *)arg = 1;
	check_eq(pirn_yield(), 0);
	*(int *)arg = 2;
	return 0;
}

TEST(a_fiber_can_crash_its_node)
{
	int step = 0, five = 5, result;

	the_sim = world(NULL);
	sim_eq(the_sim, pirn_sim_start(the_sim, 0, NULL, crashes_itself, &step), 0);
	sim_eq(the_sim, pirn_sim_start(the_sim, 1, NULL, give_late, &five), 0);
	sim_eq(the_sim, pirn_sim_run(the_sim, PIRN_NEVER), PIRN_SIM_CRASHED);
	sim_eq(the_sim, pirn_sim_result(the_sim, 0, &result), -ECANCELED);
	check_eq(step, 1);
	check_eq(after_crash, 0);
	sim_eq(the_sim, pirn_sim_run(the_sim, PIRN_NEVER), PIRN_SIM_ENDED);
	sim_eq(the_sim, pirn_sim_result(the_sim, 1, &result), 0);
	check_eq(result, 5);
	pirn_sim_destroy(the_sim);
}

static int crashes_other(void *arg)
{
	(void)arg;
	check_eq(pirn_sleep(3 * MS), 0);
	check_eq(pirn_sim_crash(the_sim, 1), 0);
	check_eq(pirn_sleep(3 * MS), 0);
	/* a world cannot be run from inside */
	check_eq(pirn_sim_run(the_sim, PIRN_NEVER), -EDEADLK);
	check_eq(pirn_sim_start(the_sim, 1, NULL, never, NULL), -EDEADLK);
	return 0;
}

TEST(a_fiber_can_crash_another_node)
{
	int result;

	the_sim = world(NULL);
	sim_eq(the_sim, pirn_sim_start(the_sim, 0, NULL, crashes_other, NULL), 0);
	sim_eq(the_sim, pirn_sim_start(the_sim, 1, NULL, never, NULL), 0);
	sim_eq(the_sim, pirn_sim_run(the_sim, PIRN_NEVER), PIRN_SIM_ENDED);
	sim_eq(the_sim, pirn_sim_result(the_sim, 0, &result), 0);
	sim_eq(the_sim, pirn_sim_result(the_sim, 1, &result), -ECANCELED);
	pirn_sim_destroy(the_sim);
}

/* Fibers parked in everything there is, with ops under way on every core. */
static int deep(void *arg)
{
	struct pirn_file *file = file_at("deep");
	char *buf = pirn_buf_alloc(4096);
	int result;

	(void)arg;
	check(buf);
	for (;;) {
		check_eq(pirn_pwrite(file, buf, 4096, pirn_random() % 100 * 4096,
				     0), 4096);
		check_eq(pirn_fsync(file), 0);
		check_eq(pirn_call((unsigned int)pirn_random() % 4, give,
				   &(int){ 3 }, &result), 0);
		/* which of them finds it there is the seed's */
		check_op(pirn_rename("deep", "deeper"), <=, 0);
		check_op(pirn_rename("deeper", "deep"), <=, 0);
		check_eq(pirn_sync_dir("."), 0);
	}
}

static int spawn_deep(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 10; i++)
		check_eq(pirn_spawn(NULL, i % 2 ? deep : never, NULL), 0);
	return 0;
}

static int wide(void *arg)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		check_eq(pirn_call(i, spawn_deep, NULL, NULL), 0);
	check_eq(pirn_park(), 0);
	return *(int *)arg;
}

static unsigned int mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	char line[512];

	check(maps);
	while (fgets(line, sizeof(line), maps))
		n++;
	fclose(maps);
	return n;
}

/* ASan's leak check looks at the rest. */
TEST(a_hundred_crashes_leak_nothing)
{
	struct pirn_sim_options opt = with_seed(5);
	struct pirn_sim *sim;
	unsigned int i, maps = 0;

	opt.fault[PIRN_SIM_NAMES].rate = 500000;
	opt.fault[PIRN_SIM_LOST].rate = MILLION;
	sim = world(&opt);
	for (i = 0; i < scaled(100, 20); i++) {
		sim_eq(sim, pirn_sim_start(sim, 0, NULL, wide, NULL), 0);
		sim_eq(sim, pirn_sim_run(sim, pirn_sim_now(sim) +
					 pirn_sim_random(sim) % (3 * MS)),
		       PIRN_SIM_TIME);
		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		if (i == 4)
			maps = mappings();
	}
	check_op(mappings(), <, maps + 10);
	/* and one that is dropped with the world */
	sim_eq(sim, pirn_sim_start(sim, 0, NULL, wide, NULL), 0);
	sim_eq(sim, pirn_sim_run(sim, pirn_sim_now(sim) + MS), PIRN_SIM_TIME);
	pirn_sim_destroy(sim);
}

/* The end of fn drops the others, after their ops have ended. */
static int leaves_others(void *arg)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		check_eq(pirn_call(i, spawn_deep, NULL, NULL), 0);
	check_eq(pirn_sleep(MS), 0);
	return *(int *)arg;
}

TEST(the_end_of_main_is_the_end_of_a_node)
{
	struct pirn_sim_options opt = with_seed(0);
	int nine = 9;

	for (opt.seed = 0; opt.seed < 20; opt.seed++)
		check_eq(live_in(&opt, leaves_others, &nine, NULL), 9);
}

/* ------------------------------------------------------------ nothing, never */

static int waits_for_nobody(void *arg)
{
	(void)arg;
	return pirn_park();
}

static int three_wait(void *arg)
{
	struct pirn_fiber *fiber;

	(void)arg;
	check_eq(pirn_spawn(&fiber, waits_for_nobody, NULL), 0);
	check_eq(pirn_spawn(NULL, waits_for_nobody, NULL), 0);
	check_eq(pirn_call(2, waits_for_nobody, NULL, NULL), 0);
	return pirn_join(fiber, NULL);
}

TEST(a_deadlock_names_who_is_parked)
{
	struct pirn_sim *sim = world(NULL);
	const char *text, *at;
	unsigned int parks = 0;
	int result;

	sim_eq(sim, pirn_sim_start(sim, 0, NULL, three_wait, NULL), 0);
	/* with a bound there is time to wait for */
	sim_eq(sim, pirn_sim_run(sim, 1100 * MS), PIRN_SIM_TIME);
	check_eq(pirn_sim_now(sim), 1100 * MS);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), -EDEADLK);
	text = pirn_sim_message(sim);
	check(strstr(text, "node 0 core 0: 3 fibers"));
	check(strstr(text, "node 0 core 1: 0 fibers"));
	check(strstr(text, "node 0 core 2: 1 fibers"));
	check(strstr(text, "fiber 0 (main), parked in pirn_call to core 2, "));
	for (at = text; (at = strstr(at, "parked in pirn_park, ")); at++)
		parks++;
	check_eq(parks, 3);
	/* the node is as it was, and can go */
	sim_eq(sim, pirn_sim_result(sim, 0, &result), -EAGAIN);
	sim_eq(sim, pirn_sim_crash(sim, 0), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), PIRN_SIM_ENDED);
	pirn_sim_destroy(sim);
}

TEST(a_plain_run_ends_with_the_deadlock)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256];

	opt.backend = PIRN_BACKEND_SIM;
	opt.message = message;
	opt.message_bytes = sizeof(message);
	check_eq(pirn_run(&opt, three_wait, NULL, NULL), -EDEADLK);
	check(strstr(message, "deadlock: nothing can happen any more"));
	/* and the next has a new world */
	check_eq(pirn_run(&opt, count_cores, NULL, NULL), 0);
}

static int yields_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		check_eq(pirn_yield(), 0);
}

TEST(a_livelock_meets_a_limit)
{
	struct pirn_sim_options opt = with_seed(0);
	struct pirn_sim_counts counts = { .size = sizeof(counts) };
	struct pirn_sim *sim;

	opt.limit_events = 10000;
	sim = world(&opt);
	sim_eq(sim, pirn_sim_start(sim, 0, NULL, yields_for_ever, NULL), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), -ETIMEDOUT);
	check(strstr(pirn_sim_message(sim), "limit of events (10000)"));
	check_eq(pirn_sim_counts(sim, &counts), 0);
	check_eq(counts.events, 10000);
	pirn_sim_destroy(sim);

	opt = with_seed(0);
	opt.limit_ns = 500 * MS;
	sim = world(&opt);
	sim_eq(sim, pirn_sim_start(sim, 0, NULL, never, NULL), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), -ETIMEDOUT);
	check(strstr(pirn_sim_message(sim), "limit of virtual time"));
	check_op(pirn_sim_now(sim), <=, 1500 * MS);
	check_op(pirn_sim_now(sim), >, 1490 * MS);
	pirn_sim_destroy(sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_share_time_and_nothing_else),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(each_option_has_its_range),
		cmocka_unit_test(a_node_has_the_cores_it_is_told),
		cmocka_unit_test(a_crashed_node_is_gone),
		cmocka_unit_test(a_fiber_can_crash_its_node),
		cmocka_unit_test(a_fiber_can_crash_another_node),
		cmocka_unit_test(a_hundred_crashes_leak_nothing),
		cmocka_unit_test(the_end_of_main_is_the_end_of_a_node),
		cmocka_unit_test(a_deadlock_names_who_is_parked),
		cmocka_unit_test(a_plain_run_ends_with_the_deadlock),
		cmocka_unit_test(a_livelock_meets_a_limit),
	};

	return run_program(argc, argv, "sim_nodes", tests, array_size(tests));
}
