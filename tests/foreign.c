// SPDX-License-Identifier: MIT
/* Threads that are no cores: calls, posts, full inlets, the end of a runtime. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pirn/message.h>

#include "helpers.h"

#define THREADS 6u
#define POLL_NS 50000u

static struct pirn_door *door;
static unsigned int cores;

static void wait_for_count(atomic_uint *count, unsigned int want)
{
	while (atomic_load(count) < want)
		check_eq(pirn_sleep(POLL_NS), 0);
	check_eq(atomic_load(count), want);
}

/* Runs body(i) in @n threads while this fiber only sleeps; joins them. */
static atomic_uint threads_done;

struct thread {
	pthread_t thread;
	unsigned int index;
	void (*body)(unsigned int index);
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->body(t->index);
	atomic_fetch_add(&threads_done, 1);
	return NULL;
}

static void start_threads(struct thread *t, unsigned int n, void (*body)(unsigned int))
{
	unsigned int i;

	atomic_store(&threads_done, 0);
	for (i = 0; i < n; i++) {
		t[i].index = i;
		t[i].body = body;
		check_eq(pthread_create(&t[i].thread, NULL, thread_main, &t[i]), 0);
	}
}

static void join_threads(struct thread *t, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		check_eq(pthread_join(t[i].thread, NULL), 0);
}

static void with_threads(unsigned int n, void (*body)(unsigned int index))
{
	struct thread t[THREADS];

	start_threads(t, n, body);
	wait_for_count(&threads_done, n);
	join_threads(t, n);
}

static void open_gate(void)
{
	cores = (unsigned int)pirn_core_count();
	check_eq(pirn_foreign_open(&door), 0);
}

/* -------------------------------------------------------- calls and posts */

/* Plain memory both ways, for ThreadSanitizer. */
struct letter {
	unsigned int core;
	uint64_t there;
	uint64_t back;
};

static int answer(void *arg)
{
	struct letter *letter = arg;

	check_eq(pirn_core(), letter->core);
	letter->back = ~letter->there;
	if (letter->there % 4 == 0)
		check_eq(pirn_yield(), 0);
	if (letter->there % 16 == 1)
		check_eq(pirn_sleep(1000), 0);
	return (int)(letter->there & 0x7fffffff);
}

static atomic_uint posted, taken;

static int take_letter(void *arg)
{
	struct letter *letter = arg;

	check_eq(pirn_core(), letter->core);
	check_eq(letter->back, ~letter->there);
	free(letter);
	atomic_fetch_add(&taken, 1);
	return 0;
}

static void correspond(unsigned int index)
{
	struct rng rng = { index + 1 };
	unsigned int i;

	for (i = 0; i < scaled(2000, 200); i++) {
		struct letter letter = { 0 }, *kept;
		int result = -1;

		letter.core = (unsigned int)rng_below(&rng, cores);
		letter.there = rng_next(&rng);
		if (rng_below(&rng, 2)) {
			check_eq(pirn_foreign_call(door, letter.core, answer, &letter,
						   &result), 0);
			check_eq(result, letter.there & 0x7fffffff);
			check_eq(letter.back, ~letter.there);
			continue;
		}
		kept = malloc(sizeof(*kept));
		check(kept);
		*kept = letter;
		kept->back = ~kept->there;
		atomic_fetch_add(&posted, 1);
		check_eq(pirn_foreign_post(door, letter.core, take_letter, kept), 0);
	}
}

static int correspondence(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };

	(void)arg;
	open_gate();
	posted = 0;
	taken = 0;
	with_threads(THREADS, correspond);
	wait_for_count(&taken, posted);
	check_eq(pirn_core_stats(&stats), 0);
	check_op(stats.foreign, >, 0);
	pirn_foreign_close(door);
	return 0;
}

/* Cores that sleep at every chance: a wake that is lost hangs. */
TEST(threads_call_and_post_while_cores_sleep)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, correspondence, NULL);
}

TEST(threads_call_and_post_through_a_small_inlet)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.foreign_depth = 1;
	run_on_cores(&opt, correspondence, NULL);
	opt.foreign_depth = 3;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, correspondence, NULL);
}

static void spin_for(uint64_t rounds)
{
	volatile uint64_t spin;

	for (spin = 0; spin < rounds; spin++)
		;
}

static atomic_uint seen;

/* Keeps the core busy for a moment after its thread has seen it. */
static int see_and_linger(void *arg)
{
	unsigned int value = (unsigned int)(uintptr_t)arg;

	atomic_store(&seen, value);
	spin_for(value * 2654435761u % 1024);
	return 0;
}

/* One post at a time, at a distance from the core's sleep that differs. */
static void race_with_sleep(unsigned int index)
{
	struct rng rng = { index };
	unsigned int i, n = scaled(200000, 2000);
	/* each waits for the scheduler, which has others to serve on some machines */
	uint64_t enough = clock_ns() + 20000000000u;

	for (i = 1; i <= n && clock_ns() < enough; i++) {
		spin_for(rng_below(&rng, 1024));
		check_eq(pirn_foreign_post(door, 1, see_and_linger,
					   (void *)(uintptr_t)i), 0);
		while (atomic_load(&seen) != i)
			sched_yield();
	}
}

static int race(void *arg)
{
	(void)arg;
	open_gate();
	with_threads(1, race_with_sleep);
	pirn_foreign_close(door);
	return 0;
}

/* A wake that is lost hangs: nobody else has anything for that core. */
TEST(a_post_that_races_with_sleep_is_not_lost)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, race, NULL);
}

static unsigned int last[THREADS];
static atomic_uint in_order;

static int check_order(void *arg)
{
	unsigned int what = (unsigned int)(uintptr_t)arg;

	check_eq(what & 0xffff, last[what >> 16]);
	last[what >> 16]++;
	atomic_fetch_add(&in_order, 1);
	return 0;
}

static void post_in_order(unsigned int index)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		check_eq(pirn_foreign_post(door, 1, check_order,
					   (void *)(uintptr_t)(index << 16 | i)), 0);
}

static int order(void *arg)
{
	(void)arg;
	open_gate();
	with_threads(THREADS, post_in_order);
	wait_for_count(&in_order, THREADS * 1000);
	pirn_foreign_close(door);
	return 0;
}

TEST(posts_of_a_thread_begin_in_order)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.foreign_depth = 8;
	run_on_cores(&opt, order, NULL);
}

/* ------------------------------------------------------------------- full */

static atomic_bool held, release_it;
static atomic_uint ended, blocked;

static int hold_core(void *arg)
{
	(void)arg;
	atomic_store(&held, true);
	while (!atomic_load(&release_it))
		sched_yield();
	return 0;
}

static int count_end(void *arg)
{
	atomic_fetch_add(&ended, 1);
	return arg ? *(int *)arg : 0;
}

static void fill_inlet(unsigned int index)
{
	unsigned int n;

	(void)index;
	for (n = 0; n < 100; n++) {
		int err = pirn_foreign_try_post(door, 1, count_end, NULL);

		if (err) {
			check_eq(err, -EAGAIN);
			break;
		}
	}
	check_eq(n, 8);
}

static void post_or_call_when_full(unsigned int index)
{
	int value = (int)index, result;

	atomic_fetch_add(&blocked, 1);
	if (index % 2) {
		check_eq(pirn_foreign_call(door, 1, count_end, &value, &result), 0);
		check_eq(result, index);
	} else {
		check_eq(pirn_foreign_post(door, 1, count_end, NULL), 0);
	}
}

static int full(void *arg)
{
	struct thread t[THREADS];

	(void)arg;
	open_gate();
	check_eq(pirn_post(1, hold_core, NULL), 0);
	while (!atomic_load(&held))
		check_eq(pirn_sleep(POLL_NS), 0);
	with_threads(1, fill_inlet);
	start_threads(t, THREADS, post_or_call_when_full);
	wait_for_count(&blocked, THREADS);
	nap_ms(20);
	check_eq(threads_done, 0);
	check_eq(ended, 0);
	atomic_store(&release_it, true);
	wait_for_count(&ended, 8 + THREADS);
	wait_for_count(&threads_done, THREADS);
	join_threads(t, THREADS);
	pirn_foreign_close(door);
	return 0;
}

TEST(a_full_inlet_blocks_threads)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.foreign_depth = 8;
	run_on_cores(&opt, full, NULL);
}

/* ------------------------------------------------------ no fiber to be had */

static atomic_uint inside;

static int stay(void *arg)
{
	(void)arg;
	atomic_fetch_add(&inside, 1);
	while (!atomic_load(&release_it))
		check_eq(pirn_sleep(POLL_NS), 0);
	return 0;
}

static void call_then_post(unsigned int index)
{
	(void)index;
	check_eq(pirn_foreign_call(door, 1, count_end, NULL, NULL), -EAGAIN);
	check_eq(pirn_foreign_post(door, 1, count_end, NULL), 0);
	check_eq(pirn_foreign_post(door, 1, count_end, NULL), 0);
}

static int crowded(void *arg)
{
	unsigned int i;

	(void)arg;
	open_gate();
	for (i = 0; i < 3; i++)
		check_eq(pirn_post(1, stay, NULL), 0);
	wait_for_count(&inside, 3);
	with_threads(1, call_then_post);
	nap_ms(5);
	check_eq(ended, 0);
	atomic_store(&release_it, true);
	wait_for_count(&ended, 2);
	pirn_foreign_close(door);
	return 0;
}

TEST(posts_of_threads_wait_for_a_fiber)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_fibers = 3;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, crowded, NULL);
}

/* ----------------------------------------------------------------- misuse */

static void misuse_from_thread(unsigned int index)
{
	int status;
	pid_t pid;

	(void)index;
	check_eq(pirn_foreign_call(door, cores, count_end, NULL, NULL), -EINVAL);
	check_eq(pirn_foreign_post(door, UINT32_MAX, count_end, NULL), -EINVAL);
	check_eq(pirn_foreign_post(door, 0, NULL, NULL), -EINVAL);
	check_eq(pirn_foreign_post(NULL, 0, count_end, NULL), -EINVAL);
	check_eq(pirn_foreign_open(&door), -EPERM);
	pid = must(fork());
	if (!pid) {
		int ok = pirn_foreign_post(door, 0, count_end, NULL) == -EPERM &&
			 pirn_foreign_call(door, 0, count_end, NULL, NULL) == -EPERM;

		_exit(ok ? 0 : 1);
	}
	check_eq(must(waitpid(pid, &status, 0)), pid);
	check_eq(status, 0);
}

static int misuse(void *arg)
{
	(void)arg;
	open_gate();
	check_eq(pirn_foreign_open(NULL), -EINVAL);
	check_eq(pirn_foreign_call(door, 1, count_end, NULL, NULL), -EDEADLK);
	check_eq(pirn_foreign_post(door, 1, count_end, NULL), -EDEADLK);
	with_threads(1, misuse_from_thread);
	check_eq(ended, 0);
	pirn_foreign_close(door);
	return 0;
}

TEST(misuse_of_a_gate)
{
	pirn_foreign_close(NULL);
	run_on_cores(NULL, misuse, NULL);
}

/* ---------------------------------------------------------------- the end */

static atomic_uint accepted, refused;

static int park_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&inside, 1);
	for (;;)
		pirn_park();
	return 0;
}

static int quick(void *arg)
{
	return *(int *)arg;
}

/* Until the runtime says that it has ended: half of them stuck in a call. */
static void use_to_the_end(unsigned int index)
{
	int value = (int)index, result, err = 0;
	unsigned int i;

	for (i = 0; !err; i++) {
		unsigned int core = (index + i) % cores;

		if (index == 0) {
			err = pirn_foreign_call(door, core, park_for_ever, NULL, NULL);
			check_eq(err, -ESHUTDOWN);
		} else if (index % 2) {
			err = pirn_foreign_post(door, core, count_end, NULL);
		} else {
			result = -1;
			err = pirn_foreign_call(door, core, quick, &value, &result);
			if (!err)
				check_eq(result, value);
		}
		if (!err)
			atomic_fetch_add(&accepted, 1);
	}
	check_eq(err, -ESHUTDOWN);
	check_eq(pirn_foreign_post(door, 0, count_end, NULL), -ESHUTDOWN);
	check_eq(pirn_foreign_try_post(door, 0, count_end, NULL), -ESHUTDOWN);
	check_eq(pirn_foreign_call(door, 0, count_end, NULL, NULL), -ESHUTDOWN);
	atomic_fetch_add(&refused, 1);
}

static struct thread end_threads[THREADS];

static int end_amid(void *arg)
{
	unsigned int some = *(unsigned int *)arg;

	open_gate();
	start_threads(end_threads, THREADS, use_to_the_end);
	while (atomic_load(&accepted) < some || !atomic_load(&inside))
		check_eq(pirn_sleep(1000), 0);
	return 0;
}

TEST(a_runtime_ends_amid_calls_and_posts)
{
	unsigned int i, some;

	for (i = 0; i < scaled(60, 10); i++) {
		struct pirn_options opt = PIRN_OPTIONS_INIT;

		accepted = 0;
		refused = 0;
		inside = 0;
		some = i * 7 % 50;
		opt.foreign_depth = 1 + i % 4;
		opt.spin_ns = i % 2 ? PIRN_NO_SPIN : 0;
		opt.pool_bytes = MiB;
		run_on_cores(&opt, end_amid, &some);
		join_threads(end_threads, THREADS);
		check_eq(refused, THREADS);
		pirn_foreign_close(door);
	}
}

static int hold_to_the_end(void *arg)
{
	(void)arg;
	atomic_store(&held, true);
	while (!atomic_load(&release_it))
		sched_yield();
	nap_ms(10);
	return 0;
}

/* Core 1 takes nothing any more: the call is still in its inlet at the end. */
static void call_held(unsigned int index)
{
	(void)index;
	atomic_fetch_add(&blocked, 1);
	check_eq(pirn_foreign_call(door, 1, count_end, NULL, NULL), -ESHUTDOWN);
}

static int end_untaken(void *arg)
{
	(void)arg;
	open_gate();
	check_eq(pirn_post(1, hold_to_the_end, NULL), 0);
	while (!atomic_load(&held))
		check_eq(pirn_sleep(POLL_NS), 0);
	start_threads(end_threads, THREADS, call_held);
	wait_for_count(&blocked, THREADS);
	nap_ms(20);
	atomic_store(&release_it, true);
	return 0;
}

TEST(calls_not_taken_are_answered_at_the_end)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.foreign_depth = 2;	/* some of them wait for room */
	run_on_cores(&opt, end_untaken, NULL);
	join_threads(end_threads, THREADS);
	pirn_foreign_close(door);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_call_and_post_while_cores_sleep),
		cmocka_unit_test(threads_call_and_post_through_a_small_inlet),
		cmocka_unit_test(a_post_that_races_with_sleep_is_not_lost),
		cmocka_unit_test(posts_of_a_thread_begin_in_order),
		cmocka_unit_test(a_full_inlet_blocks_threads),
		cmocka_unit_test(posts_of_threads_wait_for_a_fiber),
		cmocka_unit_test(misuse_of_a_gate),
		cmocka_unit_test(a_runtime_ends_amid_calls_and_posts),
		cmocka_unit_test(calls_not_taken_are_answered_at_the_end),
	};

	return run_program(argc, argv, "foreign", tests, array_size(tests));
}
