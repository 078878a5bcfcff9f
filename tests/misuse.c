// SPDX-License-Identifier: MIT
/* Calls from where they may not come, on what they may not act on. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "helpers.h"

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int park_once(void *arg)
{
	(void)arg;
	check_eq(pirn_park(), 0);
	return 0;
}

/* Handles that are valid inside, for calls from outside. */
struct handles {
	struct pirn_fiber *fiber;
	struct pirn_file *file;
	void *buf;
};

static void take_handles(struct handles *h)
{
	check_eq(pirn_spawn(&h->fiber, park_once, NULL), 0);
	check_eq(pirn_open(&h->file, test_target()->path, O_RDWR, 0), 0);
	h->buf = pirn_buf_alloc(4096);
	check(h->buf);
}

static void give_handles(struct handles *h)
{
	check_eq(pirn_unpark(h->fiber), 0);
	check_eq(pirn_join(h->fiber, NULL), 0);
	check_eq(pirn_close(h->file), 0);
	check_eq(pirn_buf_free(h->buf), 0);
}

/* Every call that acts on the current core, on valid handles. */
static void check_all_refused(const struct handles *h)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct pirn_stack_stats stack_stats = { .size = sizeof(stack_stats) };
	struct pirn_fiber *fiber;
	struct pirn_file *file;

	check_eq(pirn_backend_current(), -EPERM);
	check_eq(pirn_core(), -EPERM);
	check_eq(pirn_core_count(), -EPERM);
	check_eq(pirn_core_cpu(0), -EPERM);
	check_eq(pirn_core_stats(&stats), -EPERM);
	check_eq(pirn_stack_stats(&stack_stats), -EPERM);
	check_eq(pirn_spawn(&fiber, nothing, NULL), -EPERM);
	check_eq(pirn_spawn(NULL, nothing, NULL), -EPERM);
	check_eq(pirn_spawn_options(&fiber, NULL, nothing, NULL), -EPERM);
	check_eq(pirn_join(h->fiber, NULL), -EPERM);
	check_eq(pirn_detach(h->fiber), -EPERM);
	check(!pirn_self());
	check_eq(pirn_yield(), -EPERM);
	check_eq(pirn_park(), -EPERM);
	check_eq(pirn_unpark(h->fiber), -EPERM);
	check_eq(pirn_now(), 0);
	check_eq(pirn_sleep(0), -EPERM);
	check_eq(pirn_sleep(1), -EPERM);
	check_eq(pirn_sleep_until(1), -EPERM);
	check_eq(pirn_call(0, nothing, NULL, NULL), -EPERM);
	check(!pirn_buf_alloc(4096));
	check_eq(pirn_buf_free(h->buf), -EPERM);
	check_eq(pirn_open(&file, "/dev/null", O_RDONLY, 0), -EPERM);
	check_eq(pirn_close(h->file), -EPERM);
	check_eq(pirn_size(h->file), -EPERM);
	check_eq(pirn_truncate(h->file, 0), -EPERM);
	check_eq(pirn_pread(h->file, h->buf, 4096, 0), -EPERM);
	check_eq(pirn_pwrite(h->file, h->buf, 4096, 0, 0), -EPERM);
	check_eq(pirn_fsync(h->file), -EPERM);
}

static void *foreign_thread(void *arg)
{
	check_all_refused(arg);
	return NULL;
}

static int from_a_thread(void *arg)
{
	struct handles h;
	pthread_t thread;

	(void)arg;
	take_handles(&h);
	check_eq(pthread_create(&thread, NULL, foreign_thread, &h), 0);
	check_eq(pthread_join(thread, NULL), 0);
	give_handles(&h);
	return 0;
}

TEST(every_call_is_refused_outside_a_fiber)
{
	static struct handles none;

	run_on(NULL, from_a_thread, NULL);
	/* and when no runtime is left, or ever was */
	check_eq(pirn_core(), -EPERM);
	check(!pirn_self());
	check_eq(pirn_yield(), -EPERM);
	check(!pirn_buf_alloc(4096));
	check_eq(pirn_spawn(&none.fiber, nothing, NULL), -EPERM);
	check_eq(pirn_call(0, nothing, NULL, NULL), -EPERM);
}

static int from_a_child(void *arg)
{
	struct handles h;
	pid_t pid;
	int status;

	(void)arg;
	take_handles(&h);
	pid = must(fork());
	if (!pid) {
		check_all_refused(&h);
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	check_eq(status, 0);
	/* and the parent goes on */
	check_eq(pirn_yield(), 0);
	check_eq(pirn_pread(h.file, h.buf, 4096, 0), 4096);
	give_handles(&h);
	return 0;
}

TEST(every_call_is_refused_in_a_forked_child)
{
	run_on(NULL, from_a_child, NULL);
}

/* ------------------------------------------------------- other cores, twice */

static int on_foreign_fiber(void *arg)
{
	struct pirn_fiber *fiber = arg;

	check_eq(pirn_join(fiber, NULL), -EXDEV);
	check_eq(pirn_detach(fiber), -EXDEV);
	check_eq(pirn_unpark(fiber), -EXDEV);
	return 0;
}

static int foreign_fiber(void *arg)
{
	struct pirn_fiber *fiber;

	(void)arg;
	check_eq(pirn_spawn(&fiber, park_once, NULL), 0);
	check_eq(pirn_call(1, on_foreign_fiber, fiber, NULL), 0);
	check_eq(pirn_unpark(fiber), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	return 0;
}

TEST(another_cores_fiber_is_out_of_reach)
{
	run_on_cores(NULL, foreign_fiber, NULL);
}

static int join_it(void *arg)
{
	return pirn_join(*(struct pirn_fiber **)arg, NULL);
}

static int joins(void *arg)
{
	struct pirn_fiber *fiber, *first;
	int result;

	(void)arg;
	check_eq(pirn_join(pirn_self(), NULL), -EDEADLK);
	check_eq(pirn_spawn(&fiber, park_once, NULL), 0);
	check_eq(pirn_spawn(&first, join_it, &fiber), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_join(fiber, NULL), -EINVAL);
	check_eq(pirn_detach(fiber), -EINVAL);
	check_eq(pirn_unpark(fiber), 0);
	check_eq(pirn_join(first, &result), 0);
	check_eq(result, 0);

	check_eq(pirn_spawn(&fiber, park_once, NULL), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_detach(fiber), 0);
	check_eq(pirn_join(fiber, NULL), -EINVAL);
	check_eq(pirn_detach(fiber), -EINVAL);
	check_eq(pirn_unpark(fiber), 0);
	check_eq(pirn_yield(), 0);
	return 0;
}

TEST(a_fiber_is_joined_or_detached_once)
{
	run_on(NULL, joins, NULL);
}

static int nested(void *arg)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	(void)arg;
	check_eq(pirn_run(NULL, nothing, NULL, NULL), -EDEADLK);
	opt.backend = wanted_backend();
	check_eq(pirn_run(&opt, nothing, NULL, NULL), -EDEADLK);
	return 1;
}

TEST(a_core_cannot_run_a_runtime)
{
	check_eq(run_on(NULL, nested, NULL), 1);
}

static int stats_sizes(void *arg)
{
	struct pirn_core_stats stats = { .size = 0 };

	(void)arg;
	check_eq(pirn_core_stats(&stats), -EINVAL);
	stats.size = 4;
	check_eq(pirn_core_stats(&stats), -EINVAL);
	stats.size = sizeof(stats);
	stats.fibers = 99;
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.fibers, 1);
	return 0;
}

TEST(stats_want_their_size)
{
	run_on(NULL, stats_sizes, NULL);
}

/* ---------------------------------------------------------------- overflow */

#if !UNDER_ASAN && !UNDER_TSAN
#define STACK (64 * KiB)

/*
 * Touches a stack downwards, no further than one stack and a guard below its
 * end. Without a guard the neighbour's memory takes it and the loop ends.
 */
static int overflow(void *arg)
{
	volatile char here = 0;
	volatile char *p;
	size_t down;

	(void)arg;
	for (down = 0; down < STACK + 16 * KiB; down += KiB) {
		p = &here - down;
		*p = *p;
	}
	_exit(0);
}

static int overflow_amid(void *arg)
{
	struct pirn_fiber *fiber[20];
	int i;

	/* stacks on both sides, whichever way they are handed out */
	for (i = 0; i < 20; i++)
		check_eq(pirn_spawn(&fiber[i], i == 10 ? overflow : park_once, arg), 0);
	while (true)
		check_eq(pirn_yield(), 0);
}

/* Not under sanitizers: they take the signal for themselves. */
TEST(a_stack_overflow_meets_the_guard)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	int status;
	pid_t pid;

	opt.stack_bytes = STACK;
	run_on(&opt, nothing, NULL);
	pid = must(fork());
	if (!pid) {
		run_on(&opt, overflow_amid, NULL);
		_exit(1);
	}
	must(waitpid(pid, &status, 0));
	check(WIFSIGNALED(status));
	check_eq(WTERMSIG(status), SIGSEGV);
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_is_refused_outside_a_fiber),
		cmocka_unit_test(every_call_is_refused_in_a_forked_child),
		cmocka_unit_test(another_cores_fiber_is_out_of_reach),
		cmocka_unit_test(a_fiber_is_joined_or_detached_once),
		cmocka_unit_test(a_core_cannot_run_a_runtime),
		cmocka_unit_test(stats_want_their_size),
#if !UNDER_ASAN && !UNDER_TSAN
		cmocka_unit_test(a_stack_overflow_meets_the_guard),
#endif
	};

	return run_program(argc, argv, "misuse", tests, array_size(tests));
}
