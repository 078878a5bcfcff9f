// SPDX-License-Identifier: MIT
/*
 * The simulated world: that a seed decides all, and what each knob of time does,
 * set and not set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_helpers.h"

/* ------------------------------------------------------------------ repeats */

struct load {
	struct pirn_file *file;
	unsigned int left;
};

/* Everything at once: reads, writes, syncs, sleeps, calls, random numbers. */
static int load_fiber(void *arg)
{
	struct load *load = arg;
	char *buf = pirn_buf_alloc(8192);
	unsigned int i;

	check(buf);
	for (i = 0; i < 20; i++) {
		uint64_t page = pirn_random() % 64;

		fill(buf, 8192, i, page);
		check_eq(pirn_pwrite(load->file, buf, 8192, page * 8192, 0), 8192);
		check_op(pirn_pread(load->file, buf, 4096, page / 2 * 8192), >=, 0);
		if (i % 8 == 0)
			check_eq(pirn_fsync(load->file), 0);
		if (i % 5 == 0)
			check_eq(pirn_sleep(pirn_random() % 50000), 0);
		check_eq(pirn_yield(), 0);
	}
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static int load_core(void *arg)
{
	run_fibers(5, load_fiber, arg);
	return 0;
}

struct call {
	struct load *load;
	unsigned int core;
};

static int call_core(void *arg)
{
	struct call *call = arg;

	return pirn_call(call->core, load_core, call->load, NULL);
}

static int busy(void *arg)
{
	unsigned int i, cores = (unsigned int)pirn_core_count();
	struct load load = { .file = file_at("load") };
	struct pirn_fiber *fiber[16];
	struct call call[16];

	(void)arg;
	check_op(cores, <=, 16);
	for (i = 0; i < cores; i++) {
		call[i] = (struct call){ &load, i };
		check_eq(pirn_spawn(&fiber[i], call_core, &call[i]), 0);
	}
	for (i = 0; i < cores; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(pirn_close(load.file), 0);
	return 5;
}

TEST(a_seed_gives_the_same_run_again)
{
	struct pirn_sim_options opt = with_seed(99);
	uint64_t one, two, other;

	opt.cores = 7;
	check_eq(live_in(&opt, busy, NULL, &one), 5);
	check_eq(live_in(&opt, busy, NULL, &two), 5);
	check_eq(one, two);
	opt.seed = 100;
	check_eq(live_in(&opt, busy, NULL, &other), 5);
	check_op(one, !=, other);
}

/* In another process, its memory elsewhere. */
TEST(a_seed_gives_the_same_run_in_another_process)
{
	struct pirn_sim_options opt = with_seed(4);
	uint64_t hash[4];
	int i, fd[2];
	pid_t pid;

	for (i = 0; i < 4; i++) {
		must(pipe(fd));
		pid = must(fork());
		if (!pid) {
			/* addresses differ from child to child */
			check(malloc((size_t)(i + 1) * 100000));
			must(sbrk(i * 4096 * 7));
			live_in(&opt, busy, NULL, &hash[0]);
			_exit(write(fd[1], &hash[0], 8) != 8);
		}
		close(fd[1]);
		check_eq(read(fd[0], &hash[i], 8), 8);
		close(fd[0]);
		check_eq(hash[i], hash[0]);
	}
}

/* Everything that is done is in the hash. */
static int change_one(void *arg)
{
	struct pirn_file *file = file_at("one");
	char *buf = pirn_buf_alloc(4096);
	int what = *(int *)arg;

	memset(buf, 0, 4096);
	if (what == 1)
		buf[4095] = 1;
	check_eq(pirn_pwrite(file, buf, 4096, what == 2 ? 4096 : 0, 0), 4096);
	if (what == 3)
		check_eq(pirn_truncate(file, 100), 0);
	if (what == 4)
		check_eq(pirn_rename("one", "two"), 0);
	return what == 5;
}

TEST(the_hash_is_over_everything)
{
	struct pirn_sim_options opt = with_seed(1);
	uint64_t hash[6];
	int i, j;

	for (i = 0; i < 6; i++) {
		live_in(&opt, change_one, &i, &hash[i]);
		for (j = 0; j < i; j++)
			check_op(hash[i], !=, hash[j]);
	}
}

static int read_one(void *arg)
{
	struct pirn_file *file = file_at("one");
	char *buf = pirn_buf_alloc(4096);

	(void)arg;
	check_op(pirn_pread(file, buf, 4096, 8192), >=, 0);
	return 0;
}

/* The same run but for what one read gives. */
TEST(the_hash_is_over_results)
{
	struct pirn_sim_options opt = with_seed(1);
	struct pirn_sim *sim;
	uint64_t hash[3];
	int i;

	for (i = 0; i < 3; i++) {
		sim = world(&opt);
		/* 4096 bytes, or at the end none */
		check_eq(pirn_sim_disk(sim, 0, "one", i == 2 ? 8192 : 16384,
				       4096), 0);
		check_eq(live(sim, read_one, NULL), 0);
		hash[i] = pirn_sim_hash(sim);
		pirn_sim_destroy(sim);
	}
	check_eq(hash[0], hash[1]);
	check_op(hash[0], !=, hash[2]);
}

TEST(lines_of_the_log_are_in_the_hash)
{
	struct pirn_sim *one = world(NULL), *two = world(NULL);

	check_eq(pirn_sim_hash(one), pirn_sim_hash(two));
	pirn_sim_log(one, "round %d", 1);
	pirn_sim_log(two, "round %d", 2);
	check_op(pirn_sim_hash(one), !=, pirn_sim_hash(two));
	check_eq(pirn_sim_random(one), pirn_sim_random(two));
	check_op(pirn_sim_random(one), !=, pirn_sim_random(one));
	pirn_sim_destroy(one);
	pirn_sim_destroy(two);
}

/* --------------------------------------------------------------------- time */

static int clock_loop(void *arg)
{
	uint64_t start = pirn_now(), before = start, now;

	while ((now = pirn_now()) < start + MS) {
		check_op(now, >, before);
		before = now;
		++*(uint64_t *)arg;
	}
	return 0;
}

TEST(a_loop_on_the_clock_ends)
{
	struct pirn_sim_options opt = with_seed(1);
	uint64_t readings = 0;

	live_in(&opt, clock_loop, &readings, NULL);
	check_eq(readings, MS / 25 - 1);
	readings = 0;
	opt.clock_ns = 1000;
	live_in(&opt, clock_loop, &readings, NULL);
	check_eq(readings, MS / 1000 - 1);
}

static int long_sleep(void *arg)
{
	(void)arg;
	check_eq(pirn_sleep(1800000 * MS), 0);
	return 0;
}

/* Nobody waits for half an hour that nobody uses. */
TEST(idle_time_costs_nothing)
{
	struct pirn_sim *sim = world(NULL);
	struct pirn_sim_counts counts = { .size = sizeof(counts) };

	live(sim, long_sleep, NULL);
	check_op(pirn_sim_now(sim), >=, 1000 * MS + 1800000 * MS);
	check_op(pirn_sim_now(sim), <, 1000 * MS + 1800001 * MS);
	check_eq(pirn_sim_counts(sim, &counts), 0);
	check_op(counts.events, <, 20);
	check_op(counts.turns, >, 1);
	pirn_sim_destroy(sim);
}

static int thousand_turns(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	uint64_t start = pirn_now();

	do {
		check_eq(pirn_yield(), 0);
		check_eq(pirn_core_stats(&stats), 0);
	} while (stats.turns < 1000);
	*(uint64_t *)arg = pirn_now() - start;
	return 0;
}

TEST(a_turn_costs_what_it_is_told)
{
	struct pirn_sim_options opt = with_seed(1);
	uint64_t ns;

	live_in(&opt, thousand_turns, &ns, NULL);
	check_op(ns, >, 999 * 200);
	check_op(ns, <, 999 * 2000);
	/* at random in between */
	check_op(ns, >, 999 * 900);
	check_op(ns, <, 999 * 1300);
	opt.turn_min_ns = 5000;
	opt.turn_max_ns = 5000;
	live_in(&opt, thousand_turns, &ns, NULL);
	check_eq(ns / 1000, 999 * 5);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int thousand_calls(void *arg)
{
	uint64_t start = pirn_now(), i;

	for (i = 0; i < 1000; i++) {
		check_eq(pirn_sleep(100 * US), 0);
		check_eq(pirn_call(1, nothing, NULL, NULL), 0);
	}
	*(uint64_t *)arg = pirn_now() - start - 100 * MS;
	return 0;
}

TEST(a_wake_takes_what_it_is_told)
{
	struct pirn_sim_options opt = with_seed(1);
	uint64_t usual, slow;

	live_in(&opt, thousand_calls, &usual, NULL);
	/* two wakes a call, each from 500 to 20,000 ns */
	check_op(usual, >, 15 * MS);
	check_op(usual, <, 30 * MS);
	opt.wake_min_ns = MS;
	opt.wake_max_ns = MS;
	live_in(&opt, thousand_calls, &slow, NULL);
	check_op(slow, >=, 2000 * MS);
	check_op(slow, <, 2010 * MS);
}

static int thousand_reads(void *arg)
{
	struct pirn_file *file = file_at("file");
	char *buf = pirn_buf_alloc(4096);
	uint64_t start = pirn_now(), i;

	for (i = 0; i < 1000; i++)
		check_eq(pirn_pread(file, buf, 4096, 0), 0);
	*(uint64_t *)arg = pirn_now() - start;
	return 0;
}

TEST(an_op_takes_what_it_is_told)
{
	struct pirn_sim_options opt = with_seed(1);
	uint64_t ns;

	live_in(&opt, thousand_reads, &ns, NULL);
	check_op(ns, >, 1000 * 50 * US);
	check_op(ns, <, 1000 * 70 * US);
	opt.io_min_ns = MS;
	opt.io_mean_ns = 1;
	live_in(&opt, thousand_reads, &ns, NULL);
	check_op(ns, >=, 1000 * MS);
	check_op(ns, <, 1010 * MS);
	opt.io_min_ns = 1;
	opt.io_mean_ns = 10 * MS;
	live_in(&opt, thousand_reads, &ns, NULL);
	check_op(ns, >, 9000 * MS);
	check_op(ns, <, 11000 * MS);
}

TEST(slow_ops_are_slow)
{
	struct pirn_sim_options opt = with_fault(1, PIRN_SIM_SLOW, 500000);
	struct pirn_sim *sim = world(&opt);
	uint64_t ns;

	live(sim, thousand_reads, &ns);
	/* half of them up to 50 ms longer */
	check_op(injected(sim, PIRN_SIM_SLOW), >, 400);
	check_op(injected(sim, PIRN_SIM_SLOW), <, 600);
	check_op(ns, >, 10000 * MS);
	check_op(ns, <, 15000 * MS);
	pirn_sim_destroy(sim);
	opt.slow_ns = MS;
	live_in(&opt, thousand_reads, &ns, NULL);
	check_op(ns, >, 250 * MS);
	check_op(ns, <, 400 * MS);
}

TEST(a_hung_disk_goes_on_after_its_time)
{
	struct pirn_sim_options opt = with_fault(1, PIRN_SIM_HANG, MILLION);
	uint64_t ns;

	opt.fault[PIRN_SIM_HANG].most = 3;
	live_in(&opt, thousand_reads, &ns, NULL);
	check_op(ns, >, 3 * 1000 * MS);
	check_op(ns, <, 3 * 1000 * MS + 100 * MS);
	opt.hang_ns = 5000 * MS;
	live_in(&opt, thousand_reads, &ns, NULL);
	check_op(ns, >, 15 * 1000 * MS);
}

TEST(a_stuck_core_goes_on_after_its_time)
{
	struct pirn_sim_options opt = with_fault(1, PIRN_SIM_STUCK, MILLION);
	uint64_t ns;

	opt.fault[PIRN_SIM_STUCK].most = 10;
	live_in(&opt, thousand_turns, &ns, NULL);
	check_op(ns, >, 300 * MS);
	check_op(ns, <, 1100 * MS);
	opt.stuck_ns = MS;
	live_in(&opt, thousand_turns, &ns, NULL);
	check_op(ns, >, 3 * MS);
	check_op(ns, <, 13 * MS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_gives_the_same_run_again),
		cmocka_unit_test(a_seed_gives_the_same_run_in_another_process),
		cmocka_unit_test(the_hash_is_over_everything),
		cmocka_unit_test(the_hash_is_over_results),
		cmocka_unit_test(lines_of_the_log_are_in_the_hash),
		cmocka_unit_test(a_loop_on_the_clock_ends),
		cmocka_unit_test(idle_time_costs_nothing),
		cmocka_unit_test(a_turn_costs_what_it_is_told),
		cmocka_unit_test(a_wake_takes_what_it_is_told),
		cmocka_unit_test(an_op_takes_what_it_is_told),
		cmocka_unit_test(slow_ops_are_slow),
		cmocka_unit_test(a_hung_disk_goes_on_after_its_time),
		cmocka_unit_test(a_stuck_core_goes_on_after_its_time),
	};

	return run_program(argc, argv, "sim_world", tests, array_size(tests));
}
