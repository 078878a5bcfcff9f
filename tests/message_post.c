// SPDX-License-Identifier: MIT
/* Posts, the bound on what is outstanding, buffers returned. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <pirn/message.h>

#include "helpers.h"
#include "lib.h"

#define KEEP_GOING_NS 50000u

/* Parks until *flag; for other cores. */
static void wait_for(atomic_bool *flag)
{
	while (!atomic_load(flag))
		check_eq(pirn_sleep(KEEP_GOING_NS), 0);
}

static void wait_for_count(atomic_uint *count, unsigned int want)
{
	while (atomic_load(count) < want)
		check_eq(pirn_sleep(KEEP_GOING_NS), 0);
	check_eq(atomic_load(count), want);
}

static uint64_t stat_of(unsigned int core, size_t offset);

/* ----------------------------------------------------------------- posts */

#define POSTS 1000

/* Plain memory: what a post writes and reads is ordered by the post alone. */
static struct {
	unsigned int number[POSTS];
	unsigned int order[POSTS];
	unsigned int started;
	atomic_uint ended;
} posts;

static int take_number(void *arg)
{
	check_eq(pirn_core(), 1);
	posts.order[posts.started++] = *(unsigned int *)arg;
	if (posts.started % 3 == 0)
		check_eq(pirn_yield(), 0);
	atomic_fetch_add(&posts.ended, 1);
	return -1;
}

static int post_all(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < POSTS; i++) {
		posts.number[i] = i;
		check_eq(pirn_post(1, take_number, &posts.number[i]), 0);
	}
	wait_for_count(&posts.ended, POSTS);
	for (i = 0; i < POSTS; i++)
		check_eq(posts.order[i], i);
	check_eq(pirn_post((unsigned int)pirn_core_count(), take_number, NULL), -EINVAL);
	check_eq(pirn_post(0, NULL, NULL), -EINVAL);
	check(strstr(pirn_reason(), "NULL"));
	check_eq(stat_of(0, offsetof(struct pirn_core_stats, posts_sent)), POSTS);
	return 0;
}

TEST(posts_begin_in_the_order_of_sending)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	check_eq(pirn_post(0, take_number, NULL), -EPERM);
	opt.call_depth = 3;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, post_all, NULL);
}

static int count_here(void *arg)
{
	++*(unsigned int *)arg;
	return 0;
}

static int post_to_self(void *arg)
{
	unsigned int count = 0, i;

	(void)arg;
	for (i = 0; i < 100; i++)
		check_eq(pirn_post(0, count_here, &count), 0);
	while (count < 100)
		check_eq(pirn_yield(), 0);
	check_eq(count, 100);
	return 0;
}

TEST(a_core_posts_to_itself)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = 2;
	run_on_cores(&opt, post_to_self, NULL);
}

static int yield_on(void *arg)
{
	while (!*(bool *)arg)
		check_eq(pirn_yield(), 0);
	return 0;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Others are runnable, and the turn has most of its switches left. */
static int wake_at_once(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct pirn_core *other = pirn_this_core->rt->core[1];
	unsigned int i, round, early = 0;
	uint64_t turns;
	bool stop = false;

	(void)arg;
	for (i = 0; i < 3; i++)
		check_eq(pirn_spawn(NULL, yield_on, &stop), 0);
	for (round = 0; round < 20; round++) {
		while (atomic_load(&other->sleeping) == PIRN_AWAKE)
			check_eq(pirn_yield(), 0);
		check_eq(pirn_core_stats(&stats), 0);
		turns = stats.turns;
		check_eq(pirn_post(1, nothing, NULL), 0);
		check_eq(pirn_yield(), 0);
		check_eq(pirn_core_stats(&stats), 0);
		early += stats.turns == turns + 1;
	}
	/* By chance a turn ends there once in sixteen times; a core may wake for none. */
	check_op(early, >=, 12);
	stop = true;
	return 0;
}

TEST(a_post_to_a_sleeping_core_ends_the_turn)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, wake_at_once, NULL);
}

static struct {
	atomic_bool inside;
	atomic_bool release;
	atomic_uint ended;
} hold;

static int hold_core(void *arg)
{
	(void)arg;
	atomic_store(&hold.inside, true);
	while (!atomic_load(&hold.release))
		sched_yield();
	return 0;
}

static int let_go(void *arg)
{
	(void)arg;
	check_eq(pirn_sleep(5000000), 0);
	atomic_store(&hold.release, true);
	return 0;
}

static int count_end(void *arg)
{
	(void)arg;
	atomic_fetch_add(&hold.ended, 1);
	return 0;
}

/* The turn that waits for room has sent nothing there, and ends asleep. */
static int wait_alone(void *arg)
{
	(void)arg;
	check_eq(pirn_post(1, hold_core, NULL), 0);
	wait_for(&hold.inside);
	check_eq(pirn_spawn(NULL, let_go, NULL), 0);
	check_eq(pirn_post(1, count_end, NULL), 0);
	check_eq(pirn_sleep(KEEP_GOING_NS), 0);
	check_eq(pirn_post(1, count_end, NULL), 0);
	check(atomic_load(&hold.release));
	wait_for_count(&hold.ended, 2);
	return 0;
}

TEST(a_wait_for_room_ends_though_nothing_else_is_sent)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	not_simulated("a fiber that spins stops every core");
	opt.call_depth = 1;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, wait_alone, NULL);
}

/* ------------------------------------------------------ no fiber to be had */

#define FEW 4u
#define DEPTH 5u

static struct {
	atomic_uint inside;
	atomic_bool release;
	unsigned int order[2 * DEPTH];
	unsigned int next;
	atomic_uint ended;
} crowd;

static int stay(void *arg)
{
	(void)arg;
	atomic_fetch_add(&crowd.inside, 1);
	wait_for(&crowd.release);
	return 0;
}

static int delayed_post(void *arg)
{
	crowd.order[crowd.next++] = (unsigned int)(uintptr_t)arg;
	atomic_fetch_add(&crowd.ended, 1);
	return 0;
}

static int read_stats(void *arg)
{
	return pirn_core_stats(arg);
}

static uint64_t stat_of(unsigned int core, size_t offset)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };

	check_eq(pirn_call(core, read_stats, &stats, NULL), 0);
	return *(uint64_t *)((char *)&stats + offset);
}

/* A core full of fibers: exactly call_depth posts are kept, and none is lost. */
static int crowded(void *arg)
{
	unsigned int i, accepted;

	(void)arg;
	for (i = 0; i < FEW; i++)
		check_eq(pirn_post(1, stay, NULL), 0);
	wait_for_count(&crowd.inside, FEW);
	for (accepted = 0; accepted < 100; accepted++) {
		int err = pirn_post(1, delayed_post, (void *)(uintptr_t)accepted);

		if (err) {
			check_eq(err, -EAGAIN);
			check(strstr(pirn_reason(), "core 1"));
			break;
		}
		/* Calls are refused and come back, whatever waits there. */
		check_eq(pirn_call(1, stay, NULL, NULL), -EAGAIN);
	}
	check_eq(accepted, DEPTH);
	check_eq(pirn_sleep(3 * KEEP_GOING_NS), 0);
	check_eq(atomic_load(&crowd.ended), 0);
	atomic_store(&crowd.release, true);
	wait_for_count(&crowd.ended, DEPTH);
	for (i = 0; i < DEPTH; i++)
		check_eq(crowd.order[i], i);
	check_eq(stat_of(1, offsetof(struct pirn_core_stats, posts_delayed)), DEPTH);
	/* And it goes on as if nothing had been. */
	for (i = 0; i < DEPTH; i++)
		check_eq(pirn_post(1, delayed_post, (void *)(uintptr_t)i), 0);
	wait_for_count(&crowd.ended, 2 * DEPTH);
	return 0;
}

TEST(posts_without_a_fiber_are_kept)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = DEPTH;
	opt.max_fibers = FEW;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, crowded, NULL);
}

/* No memory for the first stack of a core: nobody there will give any back. */
static int no_memory(void *arg)
{
	struct rlimit old, little;

	(void)arg;
	must(getrlimit(RLIMIT_AS, &old));
	little = old;
	little.rlim_cur = 1;
	must(setrlimit(RLIMIT_AS, &little));
	check_eq(pirn_post(1, delayed_post, NULL), 0);
	check_eq(pirn_call(1, delayed_post, NULL, NULL), -ENOMEM);
	check_eq(atomic_load(&crowd.ended), 0);
	must(setrlimit(RLIMIT_AS, &old));
	wait_for_count(&crowd.ended, 1);
	return 0;
}

TEST(a_post_waits_for_memory)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	if (UNDER_ASAN || UNDER_TSAN)
		skip_case("sanitizers need address space of their own");
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, no_memory, NULL);
}

/* ------------------------------------------------------------- the window */

#define WINDOW 3u

static struct {
	atomic_uint inside;
	atomic_uint most;
	atomic_uint ended;
} window;

static int dwell(void *arg)
{
	unsigned int inside = atomic_fetch_add(&window.inside, 1) + 1;

	(void)arg;
	if (inside > atomic_load(&window.most))
		atomic_store(&window.most, inside);
	check_eq(pirn_sleep(KEEP_GOING_NS), 0);
	atomic_fetch_sub(&window.inside, 1);
	atomic_fetch_add(&window.ended, 1);
	return 0;
}

static int dwell_by_turns(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 20; i++) {
		if (i % 2)
			check_eq(pirn_call(1, dwell, NULL, NULL), 0);
		else
			check_eq(pirn_post(1, dwell, NULL), 0);
	}
	return 0;
}

static int windowed(void *arg)
{
	(void)arg;
	run_fibers(10, dwell_by_turns, NULL);
	wait_for_count(&window.ended, 200);
	check_eq(atomic_load(&window.most), WINDOW);
	check_op(stat_of(0, offsetof(struct pirn_core_stats, calls_parked)), >, 0);
	return 0;
}

TEST(the_window_bounds_what_has_begun)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_window = WINDOW;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, windowed, NULL);
}

static int nest(void *arg);

static int nest_spawned(void *arg)
{
	int result;

	check_eq(pirn_call(!pirn_core(), nest, arg, &result), 0);
	return result;
}

/* Down by a call, or by a fiber made for it, in turn. */
static int nest(void *arg)
{
	int depth = *(int *)arg - 1, result;
	struct pirn_fiber *fiber;

	if (!depth)
		return 1;
	if (depth % 2) {
		check_eq(pirn_call(!pirn_core(), nest, &depth, &result), 0);
		return result + 1;
	}
	check_eq(pirn_spawn(&fiber, nest_spawned, &depth), 0);
	check_eq(pirn_join(fiber, &result), 0);
	return result + 1;
}

static int nest_often(void *arg)
{
	unsigned int i;

	for (i = 0; i < scaled(50, 5); i++) {
		int depth = 9, result;

		check_eq(pirn_call(!pirn_core(), nest, &depth, &result), 0);
		check_eq(result, 9);
	}
	return arg ? 0 : -1;
}

static int nest_everywhere(void *arg)
{
	run_fibers_everywhere(20, nest_often, arg);
	return 0;
}

/* Hangs when the window keeps back what somebody on the other side waits for. */
TEST(calls_nest_through_a_window_of_one)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	int something;

	opt.call_depth = 1;
	opt.call_window = 1;
	run_on_cores(&opt, nest_everywhere, &something);
}

/* ---------------------------------------------------------------- buffers */

#define BUFS 200u

static int alloc_there(void *arg)
{
	void **bufs = arg;
	unsigned int n;

	for (n = 0; n < BUFS; n++) {
		bufs[n] = pirn_buf_alloc(4096);
		if (!bufs[n])
			break;
	}
	return (int)n;
}

static int buffers_home(void *arg)
{
	static void *bufs[BUFS];
	int round, n;
	unsigned int i;

	(void)arg;
	for (round = 0; round < 20; round++) {
		check_eq(pirn_call(1, alloc_there, bufs, &n), 0);
		check_eq(n, BUFS);
		for (i = 0; i < BUFS; i++) {
			memset(bufs[i], round, 4096);
			check_eq(pirn_buf_return(bufs[i]), 0);
		}
	}
	check_eq(stat_of(1, offsetof(struct pirn_core_stats, bad_frees)), 0);
	/* A second time: counted there; on its own core, or of no pool: said here. */
	check_eq(pirn_buf_return(bufs[7]), 0);
	check_eq(stat_of(1, offsetof(struct pirn_core_stats, bad_frees)), 1);
	check_eq(pirn_buf_return(&n), -EFAULT);
	bufs[0] = pirn_buf_alloc(4096);
	check_eq(pirn_buf_return(bufs[0]), 0);
	check_eq(pirn_buf_return(bufs[0]), -EFAULT);
	check_eq(pirn_buf_return(NULL), 0);
	return 0;
}

/* 1 MiB has 256 pages: more than one round of them lost, and the next fails. */
TEST(returned_buffers_come_home)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = MiB;
	opt.call_depth = 16;
	run_on_cores(&opt, buffers_home, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_begin_in_the_order_of_sending),
		cmocka_unit_test(a_core_posts_to_itself),
		cmocka_unit_test(a_post_to_a_sleeping_core_ends_the_turn),
		cmocka_unit_test(a_wait_for_room_ends_though_nothing_else_is_sent),
		cmocka_unit_test(posts_without_a_fiber_are_kept),
		cmocka_unit_test(a_post_waits_for_memory),
		cmocka_unit_test(the_window_bounds_what_has_begun),
		cmocka_unit_test(calls_nest_through_a_window_of_one),
		cmocka_unit_test(returned_buffers_come_home),
	};

	return run_program(argc, argv, "message_post", tests, array_size(tests));
}
