// SPDX-License-Identifier: MIT
/* The order of things in a simulated world: what the seed decides, and what not. */
#include "sim_helpers.h"
#include "wait.h"

#define N 30u

struct order {
	unsigned int n;
	unsigned int entry[10 * N];
	bool yield;
};

static struct order order;

static int log_me(void *arg)
{
	unsigned int i;

	for (i = 0; i < (order.yield ? 10 : 1); i++) {
		order.entry[order.n++] = (unsigned int)(uintptr_t)arg;
		if (order.yield)
			check_eq(pirn_yield(), 0);
	}
	return 0;
}

static int spawn_all(void *arg)
{
	struct pirn_fiber *fiber[N];
	unsigned int i;

	(void)arg;
	for (i = 0; i < N; i++)
		check_eq(pirn_spawn(&fiber[i], log_me, (void *)(uintptr_t)i), 0);
	/* the turn that runs them begins with them all there */
	check_eq(pirn_sleep(1), 0);
	for (i = 0; i < N; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

/* Whether the fibers of a run ran as they were made. */
static bool in_order(const struct pirn_sim_options *opt)
{
	unsigned int i;

	order.n = 0;
	live_in(opt, spawn_all, NULL, NULL);
	check_eq(order.n, order.yield ? 10 * N : N);
	for (i = 0; i < order.n; i++)
		if (order.entry[i] != i % N)
			return false;
	return true;
}

TEST(the_seed_orders_runnable_fibers)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int same = 0;

	/* few switches, or all would run in the turn that made them */
	opt.switches = 4;
	for (opt.seed = 0; opt.seed < seeds(100); opt.seed++)
		same += in_order(&opt);
	check_op(same, <=, seeds(10));
	opt.shuffle = PIRN_SIM_NO_SHUFFLE;
	for (opt.seed = 0; opt.seed < seeds(100); opt.seed++)
		check(in_order(&opt));
}

/* Who yields goes behind those who were runnable, in any order of theirs. */
TEST(a_yield_lets_the_others_run)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int i, j, round, count[N];

	order.yield = true;
	opt.shuffle = MILLION;
	for (opt.seed = 0; opt.seed < seeds(50); opt.seed++) {
		in_order(&opt);
		for (round = 0; round < 10; round++) {
			memset(count, 0, sizeof(count));
			for (i = 0; i < N; i++)
				count[order.entry[round * N + i]]++;
			for (j = 0; j < N; j++)
				check_eq(count[j], 1);
		}
	}
}

static struct pirn_waiters queue;
static unsigned int waiting[N], waited, woken[N], wakes;

static int wait_in_queue(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	struct pirn_wait wait;

	waiting[waited++] = me;
	check_eq(pirn_wait_until(pirn_this_core, &queue, &wait, NULL,
				 UINT64_MAX), 0);
	woken[wakes++] = me;
	return 0;
}

static int wake_all(void *arg)
{
	struct pirn_fiber *fiber[N];
	unsigned int i;

	(void)arg;
	waited = wakes = 0;
	for (i = 0; i < N; i++)
		check_eq(pirn_spawn(&fiber[i], wait_in_queue,
				    (void *)(uintptr_t)i), 0);
	while (waited < N)
		check_eq(pirn_sleep(US), 0);
	while (queue.first)
		pirn_wait_end(pirn_this_core, queue.first, 0);
	for (i = 0; i < N; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

/* Those that waited for the same thing run in the order they get it. */
TEST(a_wait_queue_stays_first_in_first_out)
{
	struct pirn_sim_options opt = with_seed(0);

	opt.shuffle = MILLION;
	opt.switches = 3;
	for (opt.seed = 0; opt.seed < seeds(50); opt.seed++) {
		live_in(&opt, wake_all, NULL, NULL);
		check_eq(wakes, N);
		check(memcmp(waiting, woken, sizeof(woken)) == 0);
	}
}

static int most_in_a_turn(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	unsigned int i, in_turn = 0, most = 0;
	uint64_t turn = 0;

	(void)arg;
	for (i = 0; i < 1000; i++) {
		check_eq(pirn_core_stats(&stats), 0);
		in_turn = stats.turns == turn ? in_turn + 1 : 1;
		turn = stats.turns;
		if (in_turn > most)
			most = in_turn;
		check_eq(pirn_yield(), 0);
	}
	return (int)most;
}

TEST(a_turn_has_few_switches_or_many)
{
	struct pirn_sim_options opt = with_seed(3);

	check_op(live_in(&opt, most_in_a_turn, NULL, NULL), >, 32);
	opt.switches = 5;
	check_op(live_in(&opt, most_in_a_turn, NULL, NULL), ==, 5);
	opt.switches = 1;
	check_eq(live_in(&opt, most_in_a_turn, NULL, NULL), 1);
}

/* Two cores told to begin at the same time: the seed says who is first. */
static unsigned int first_core;

static int begin(void *arg)
{
	check_eq(pirn_sleep_until(*(uint64_t *)arg), 0);
	if (!first_core)
		first_core = 1 + (unsigned int)pirn_core();
	return 0;
}

static int spawn_begin(void *arg)
{
	return pirn_spawn(NULL, begin, arg);
}

static int race(void *arg)
{
	uint64_t when = pirn_now() + 10 * MS;
	unsigned int i;

	(void)arg;
	first_core = 0;
	for (i = 0; i < 2; i++)
		check_eq(pirn_call(i, spawn_begin, &when, NULL), 0);
	check_eq(pirn_sleep_until(when + MS), 0);
	return (int)first_core;
}

TEST(the_seed_orders_equal_times)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int count[3] = { 0 };

	for (opt.seed = 0; opt.seed < seeds(100); opt.seed++)
		count[live_in(&opt, race, NULL, NULL)]++;
	check_op(count[1], >, seeds(20));
	check_op(count[2], >, seeds(20));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seed_orders_runnable_fibers),
		cmocka_unit_test(a_yield_lets_the_others_run),
		cmocka_unit_test(a_wait_queue_stays_first_in_first_out),
		cmocka_unit_test(a_turn_has_few_switches_or_many),
		cmocka_unit_test(the_seed_orders_equal_times),
	};

	return run_program(argc, argv, "sim_order", tests, array_size(tests));
}
