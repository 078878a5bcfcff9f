// SPDX-License-Identifier: MIT
/* Calls between cores: results, visibility, back-pressure, waking. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "helpers.h"

/* ------------------------------------------------- results and visibility */

static int where(void *arg)
{
	check_eq(pirn_core(), *(int *)arg);
	return 1000 + pirn_core();
}

static int results(void *arg)
{
	int core, result;

	(void)arg;
	check(pirn_core_count() >= 2);
	for (core = 0; core < pirn_core_count(); core++) {
		check_eq(pirn_call((unsigned int)core, where, &core, &result), 0);
		check_eq(result, 1000 + core);
		check_eq(pirn_call((unsigned int)core, where, &core, NULL), 0);
		check_eq(pirn_core(), 0);
	}
	return 0;
}

TEST(a_call_runs_there_and_brings_the_result)
{
	run_on_cores(NULL, results, NULL);
}

static int not_reached(void *arg)
{
	(void)arg;
	check_failed(__FILE__, __LINE__, "a call to no core ran");
}

static int no_such_core(void *arg)
{
	unsigned int count = (unsigned int)pirn_core_count();

	(void)arg;
	check_eq(pirn_call(count, not_reached, NULL, NULL), -EINVAL);
	check_eq(pirn_call(count + 1, not_reached, NULL, NULL), -EINVAL);
	check_eq(pirn_call(UINT_MAX, not_reached, NULL, NULL), -EINVAL);
	check_eq(pirn_call(1u << 31, not_reached, NULL, NULL), -EINVAL);
	check_eq(pirn_core_cpu(count), -EINVAL);
	check_eq(pirn_core_cpu(UINT_MAX), -EINVAL);
	return 0;
}

TEST(a_core_that_is_none_is_refused)
{
	run_on_cores(NULL, no_such_core, NULL);
}

#define LETTER_BYTES (4 * KiB)

/* Plain memory, so that a missing barrier is a race ThreadSanitizer sees. */
struct letter {
	uint64_t seed;
	char there[LETTER_BYTES];
	char back[LETTER_BYTES];
};

static int answer(void *arg)
{
	struct letter *letter = arg;

	check_filled(letter->there, LETTER_BYTES, 0, letter->seed);
	fill(letter->back, LETTER_BYTES, 0, ~letter->seed);
	return (int)(letter->seed & 0x7fffffff);
}

static int correspond(void *arg)
{
	struct letter *letter = malloc(sizeof(*letter));
	unsigned int i, cores = (unsigned int)pirn_core_count();
	struct rng *rng = arg, mine = { rng_next(rng) };
	int result;

	check(letter);
	for (i = 0; i < scaled(200, 20); i++) {
		letter->seed = rng_next(&mine);
		fill(letter->there, LETTER_BYTES, 0, letter->seed);
		check_eq(pirn_call((unsigned int)rng_below(&mine, cores), answer,
				   letter, &result), 0);
		check_eq(result, letter->seed & 0x7fffffff);
		check_filled(letter->back, LETTER_BYTES, 0, ~letter->seed);
	}
	free(letter);
	return 0;
}

static int correspondence(void *arg)
{
	struct rng rng = { 1 };

	(void)arg;
	run_fibers(30, correspond, &rng);
	return 0;
}

TEST(memory_is_visible_there_and_back)
{
	run_on_cores(NULL, correspondence, NULL);
}

/* --------------------------------------------------------- callees that park */

static atomic_bool later_call_ended;

static int wait_for_later_call(void *arg)
{
	(void)arg;
	while (!atomic_load(&later_call_ended))
		check_eq(pirn_sleep(100000), 0);
	return 1;
}

static int first_call(void *arg)
{
	int result;

	check_eq(pirn_call(*(unsigned int *)arg, wait_for_later_call, NULL, &result), 0);
	check_eq(result, 1);
	return 0;
}

static int echo(void *arg)
{
	return *(int *)arg;
}

static int overtake(void *arg)
{
	struct pirn_fiber *fiber;
	unsigned int core;
	int value = 9, result;

	(void)arg;
	for (core = 0; core < 2; core++) {
		atomic_store(&later_call_ended, false);
		check_eq(pirn_spawn(&fiber, first_call, &core), 0);
		check_eq(pirn_yield(), 0);
		check_eq(pirn_call(core, echo, &value, &result), 0);
		check_eq(result, 9);
		atomic_store(&later_call_ended, true);
		check_eq(pirn_join(fiber, NULL), 0);
	}
	return 0;
}

TEST(a_callee_may_park_and_others_overtake)
{
	run_on_cores(NULL, overtake, NULL);
}

static int nest(void *arg)
{
	int depth = *(int *)arg - 1, result;

	if (!depth)
		return 1;
	check_eq(pirn_call(!pirn_core(), nest, &depth, &result), 0);
	return result + 1;
}

static int nested(void *arg)
{
	int i, depth = 100, result;

	(void)arg;
	for (i = 0; i < 20; i++) {
		check_eq(pirn_call(1, nest, &depth, &result), 0);
		check_eq(result, 100);
	}
	return 0;
}

TEST(calls_nest_back_and_forth)
{
	run_on_cores(NULL, nested, NULL);
}

/* ------------------------------------------------------------ back-pressure */

static int count_bits(void *arg)
{
	uint64_t value = *(uint64_t *)arg;

	if (value % 5 == 0)
		check_eq(pirn_yield(), 0);
	return __builtin_popcountll(value);
}

struct storm {
	_Atomic uint64_t seed;
	atomic_uint done;
	unsigned int calls;	/* a fiber */
};

static int storm_fiber(void *arg)
{
	struct storm *storm = arg;
	struct rng rng = { atomic_fetch_add(&storm->seed, 0x9e3779b9) };
	unsigned int i, cores = (unsigned int)pirn_core_count();
	uint64_t value;
	int result;

	for (i = 0; i < storm->calls; i++) {
		value = rng_next(&rng);
		result = -1;
		/* to all in turn, itself too */
		check_eq(pirn_call(i % cores, count_bits, &value, &result), 0);
		check_eq(result, __builtin_popcountll(value));
		atomic_fetch_add(&storm->done, 1);
	}
	return 0;
}

static int add_stats(void *arg)
{
	struct pirn_core_stats one = { .size = sizeof(one) }, *sum = arg;

	check_eq(pirn_core_stats(&one), 0);
	sum->calls_sent += one.calls_sent;
	sum->calls_parked += one.calls_parked;
	return 0;
}

static int storms(void *arg)
{
	unsigned int core, depth = *(unsigned int *)arg, cores, fibers, before;
	struct pirn_core_stats sum = { 0 };
	struct storm storm = { 1, 0, 0 };

	cores = (unsigned int)pirn_core_count();
	fibers = 3 * depth + 7;
	storm.calls = scaled(depth == 1 ? 2000 : 200, 40);
	run_fibers_everywhere(fibers, storm_fiber, &storm);
	check_eq(storm.done, fibers * storm.calls * cores);
	for (core = 0; core < cores; core++)
		check_eq(pirn_call(core, add_stats, &sum, NULL), 0);
	/* all of these, one a core to start them, and those that ask */
	before = fibers * storm.calls * cores + cores;
	check_op(sum.calls_sent, >=, before);
	check_op(sum.calls_sent, <=, before + cores);
	check_op(sum.calls_parked, >, 0);
	check_op(sum.calls_parked, <=, sum.calls_sent);
	return 0;
}

/*
 * More callers than places on every core at once, in all directions. Without a
 * place kept for the reply two full mailboxes wait for each other for ever.
 */
TEST(full_queues_with_one_call_at_a_time)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int depth = 1;

	opt.call_depth = depth;
	run_on_cores(&opt, storms, &depth);
}

TEST(full_queues_with_many_calls_at_a_time)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int depth = 64;

	opt.call_depth = depth;
	run_on_cores(&opt, storms, &depth);
}

/* An odd depth: ring sizes are powers of two, limits are not. */
TEST(full_queues_with_three_calls_at_a_time)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int depth = 3;

	opt.call_depth = depth;
	run_on_cores(&opt, storms, &depth);
}

#define WAITERS 50

static struct {
	atomic_bool held;	/* core 1 is inside hold_core() */
	atomic_bool release;
	unsigned int started;
	unsigned int order[WAITERS];
} queue;

/* Keeps its core from taking any message. */
static int hold_core(void *arg)
{
	(void)arg;
	atomic_store(&queue.held, true);
	while (!atomic_load(&queue.release))
		sched_yield();
	return 0;
}

static int call_hold(void *arg)
{
	return pirn_call(1, hold_core, arg, NULL);
}

static int take_place(void *arg)
{
	queue.order[queue.started++] = *(unsigned int *)arg;
	return 0;
}

static int call_with_number(void *arg)
{
	check_eq(pirn_call(1, take_place, arg, NULL), 0);
	return 0;
}

/* Exactly @depth messages go out while core 1 takes none; then all, in order. */
static int fifo(void *arg)
{
	struct pirn_core_stats before = { .size = sizeof(before) };
	struct pirn_core_stats after = { .size = sizeof(after) };
	struct pirn_fiber *fiber[WAITERS], *holder;
	unsigned int i, number[WAITERS], depth = *(unsigned int *)arg;

	queue.started = 0;
	atomic_store(&queue.held, false);
	atomic_store(&queue.release, false);
	check_eq(pirn_spawn(&holder, call_hold, NULL), 0);
	while (!atomic_load(&queue.held))
		check_eq(pirn_yield(), 0);
	/* What the holder's call took of the ring is seen as free by now. */
	check_eq(pirn_core_stats(&before), 0);
	for (i = 0; i < WAITERS; i++) {
		number[i] = i;
		check_eq(pirn_spawn(&fiber[i], call_with_number, &number[i]), 0);
	}
	for (i = 0; i < 4; i++)
		check_eq(pirn_yield(), 0);
	check_eq(pirn_core_stats(&after), 0);
	check_eq(after.calls_sent - before.calls_sent, WAITERS);
	check_eq(after.calls_parked - before.calls_parked, WAITERS - depth);
	atomic_store(&queue.release, true);
	check_eq(pirn_join(holder, NULL), 0);
	for (i = 0; i < WAITERS; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(queue.started, WAITERS);
	for (i = 0; i < WAITERS; i++)
		check_eq(queue.order[i], i);
	return 0;
}

TEST(waiting_callers_go_in_order)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int depth = 1;

	not_simulated("a fiber that spins stops every core");
	opt.call_depth = depth;
	run_on_cores(&opt, fifo, &depth);
}

TEST(call_depth_is_the_limit_of_messages_not_taken)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int depth = 7;

	not_simulated("a fiber that spins stops every core");
	opt.call_depth = depth;
	run_on_cores(&opt, fifo, &depth);
}

/* A call in a call in a call, each way, by more fibers than any queue holds. */
struct nest {
	unsigned int left;
	unsigned int sum;
};

static int nest_one(void *arg)
{
	struct nest *nest = arg;
	unsigned int other = ((unsigned int)pirn_core() + 1) %
			     (unsigned int)pirn_core_count();
	int result;

	nest->sum += nest->left;
	if (!nest->left--)
		return 1;
	check_eq(pirn_call(other, nest_one, nest, &result), 0);
	return result + 1;
}

static int free_there(void *arg)
{
	return pirn_buf_free(arg);
}

static int nest_many(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < scaled(50, 5); i++) {
		struct nest nest = { .left = 9 };
		void *buf = pirn_buf_alloc(4096);
		int result;

		check(buf);
		check_eq(pirn_call(1 - (unsigned int)pirn_core(), free_there,
				   buf, &result), 0);
		check_eq(result, 0);
		check_eq(nest_one(&nest), 10);
		check_eq(nest.sum, 45);
	}
	return 0;
}

static int nest_fibers(void *arg)
{
	struct pirn_fiber *fiber[200];
	unsigned int i;

	for (i = 0; i < 200; i++)
		check_eq(pirn_spawn(&fiber[i], nest_many, arg), 0);
	for (i = 0; i < 200; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

static int nest_other(void *arg)
{
	return pirn_call(1, nest_fibers, arg, NULL);
}

static int nest_both(void *arg)
{
	struct pirn_fiber *other;

	check_eq(pirn_spawn(&other, nest_other, arg), 0);
	check_eq(nest_fibers(arg), 0);
	check_eq(pirn_join(other, NULL), 0);
	return 0;
}

/* Hangs when a call under way can keep another from ending. */
TEST(calls_nest_at_full_queues)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = 1;
	run_on_cores(&opt, nest_both, NULL);
	opt.call_depth = 64;
	run_on_cores(&opt, nest_both, NULL);
}

/* ------------------------------------------------------------------- waking */

static int both_asleep(void *arg)
{
	unsigned int i;
	int value, result;

	(void)arg;
	for (i = 0; i < scaled(5000, 500); i++) {
		value = (int)i;
		check_eq(pirn_call(1, echo, &value, &result), 0);
		check_eq(result, value);
	}
	return 0;
}

TEST(calls_wake_a_sleeping_core_both_ways)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, both_asleep, NULL);
}

static int keep_awake(void *arg)
{
	while (!*(bool *)arg)
		check_eq(pirn_yield(), 0);
	return 0;
}

static void spin_for(unsigned int rounds)
{
	volatile unsigned int spin;

	for (spin = 0; spin < rounds; spin++)
		;
}

/* Keeps the callee's core busy for a moment after the reply has gone. */
static int linger(void *arg)
{
	spin_for((unsigned int)(uintptr_t)arg);
	return 0;
}

static int echo_and_linger(void *arg)
{
	unsigned int value = *(unsigned int *)arg;

	check_eq(pirn_spawn(NULL, linger, (void *)(uintptr_t)(value & 1023)), 0);
	return (int)value;
}

/*
 * The callee's core sleeps soon after each reply, the caller's never does: its
 * next call then races with the callee announcing its sleep, at a distance that
 * differs each time. A wake that is lost there is a hang here. Pairs with the
 * mutations that take the barriers out of the sleep protocol.
 */
static int race_with_sleep(void *arg)
{
	struct rng rng = { 3 };
	struct pirn_fiber *awake;
	unsigned int i, value, rounds = scaled(200000, 2000);
	bool stop = false;
	int result;

	(void)arg;
	/* there it does sleep each time, and waits for a CPU after it */
	if (wanted_backend() == PIRN_BACKEND_AIO ||
	    wanted_backend() == PIRN_BACKEND_URING)
		rounds /= 8;
	check_eq(pirn_spawn(&awake, keep_awake, &stop), 0);
	for (i = 0; i < rounds; i++) {
		value = (unsigned int)rng_below(&rng, 1u << 30);
		spin_for((unsigned int)rng_below(&rng, 1024));
		check_eq(pirn_call(1, echo_and_linger, &value, &result), 0);
		check_eq(result, value);
	}
	stop = true;
	check_eq(pirn_join(awake, NULL), 0);
	return 0;
}

TEST(a_call_that_races_with_sleep_is_not_lost)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, race_with_sleep, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_runs_there_and_brings_the_result),
		cmocka_unit_test(a_core_that_is_none_is_refused),
		cmocka_unit_test(memory_is_visible_there_and_back),
		cmocka_unit_test(a_callee_may_park_and_others_overtake),
		cmocka_unit_test(calls_nest_back_and_forth),
		cmocka_unit_test(full_queues_with_one_call_at_a_time),
		cmocka_unit_test(full_queues_with_many_calls_at_a_time),
		cmocka_unit_test(full_queues_with_three_calls_at_a_time),
		cmocka_unit_test(waiting_callers_go_in_order),
		cmocka_unit_test(call_depth_is_the_limit_of_messages_not_taken),
		cmocka_unit_test(calls_nest_at_full_queues),
		cmocka_unit_test(calls_wake_a_sleeping_core_both_ways),
		cmocka_unit_test(a_call_that_races_with_sleep_is_not_lost),
	};

	return run_program(argc, argv, "message", tests, array_size(tests));
}
