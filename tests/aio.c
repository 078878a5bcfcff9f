// SPDX-License-Identifier: MIT
/* The backend aio from inside: contexts that are full, ops that are refused. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "aio.h"

/* ------------------------------------------------------------- submission */

static struct pirn_file *bad;
static unsigned int next_reader, bad_one;

static int read_or_fail(void *arg)
{
	unsigned int mine = next_reader++;
	char *buf;

	(void)arg;
	if (mine != bad_one) {
		read_page(file, mine);
		return 0;
	}
	buf = pirn_buf_alloc(4096);
	check_eq(pirn_pread(bad, buf, 4096, 0), -EBADF);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

/*
 * Nothing else would end a sleep, so that there must be none: one enter submits,
 * and no second one waits.
 */
static void refused_alone(char *buf)
{
	uint64_t before = stats_now().enters;

	check_eq(pirn_pread(bad, buf, 4096, 0), -EBADF);
	check_eq(stats_now().enters - before, 1);
}

/* One that io_submit refuses, at each place of a batch. */
static int one_refused(void *arg)
{
	unsigned int i;
	char *buf;
	int fd;

	(void)arg;
	file = open_target();
	fill_target(16);
	check_eq(pirn_open(&bad, test_target()->path, O_RDWR, 0), 0);
	fd = must(dup((int)bad->handle));
	close((int)bad->handle);
	for (bad_one = 0; bad_one < 16; bad_one++) {
		next_reader = 0;
		run_fibers(16, read_or_fail, NULL);
	}
	buf = pirn_buf_alloc(4096);
	check(buf);
	for (i = 0; i < 20; i++)
		refused_alone(buf);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_fsync(bad), -EBADF);
	must(dup2(fd, (int)bad->handle));
	close(fd);
	read_page(bad, 3);
	check_eq(pirn_close(bad), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_refused_op_fails_and_no_other)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	run_on(&opt, one_refused, NULL);
	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, one_refused, NULL);
}

static int read_next(void *arg)
{
	(void)arg;
	read_page(file, next_reader++ % 16);
	return 0;
}

/*
 * A context of this depth has 126 credits (a page of events, less the header and
 * one). Wakes take all but some, so that io_submit takes a part, or nothing.
 */
static int full_context(void *arg)
{
	struct pirn_core *core = pirn_this();
	unsigned int wakes, i;

	(void)arg;
	file = open_target();
	fill_target(16);
	for (wakes = 100; wakes < 140; wakes++) {
		for (i = 0; i < wakes; i++)
			core->ops->wake(core);
		run_fibers(40, read_next, NULL);
	}
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_full_context_takes_the_rest_later)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.io_depth = 24;
	run_on(&opt, full_context, NULL);
	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, full_context, NULL);
}

static atomic_bool stop_waking;

static void *wake_always(void *arg)
{
	struct pirn_core *core = arg;

	while (!atomic_load(&stop_waking))
		core->ops->wake(core);
	return NULL;
}

/* From any thread, more than there are credits for: no op is lost by it. */
static int woken_always(void *arg)
{
	pthread_t thread;

	file = open_target();
	fill_target(16);
	atomic_store(&stop_waking, false);
	check_eq(pthread_create(&thread, NULL, wake_always, pirn_this()), 0);
	run_fibers(8, read_many, arg);
	atomic_store(&stop_waking, true);
	check_eq(pthread_join(thread, NULL), 0);
	run_fibers(8, read_many, arg);
	check_eq(stats_now().submitted, stats_now().completed);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(wakes_without_end_take_nothing_from_ops)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int reads = scaled(500, 50);

	opt.io_depth = 8;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, woken_always, &reads);
}

/* Many times round the ring, which has 127 places. */
static int round_the_ring(void *arg)
{
	file = open_target();
	fill_target(16);
	run_fibers(3, read_many, arg);
	check_op(stats_now().completed, >, 3 * *(unsigned int *)arg);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(more_reads_than_the_ring_has_places)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int reads = scaled(2000, 400);

	opt.io_depth = 3;
	run_on(&opt, round_the_ring, &reads);
	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, round_the_ring, &reads);
}

/* ------------------------------------------------------------------ start */

static unsigned long read_number(const char *path)
{
	unsigned long value;
	FILE *f = fopen(path, "re");

	check(f && fscanf(f, "%lu", &value) == 1);
	fclose(f);
	return value;
}

/* Another process has all but @left of the machine's events. */
static pid_t take_events(unsigned long left)
{
	aio_context_t context = 0;
	int ready[2];
	char byte;
	pid_t pid;

	must(pipe(ready));
	pid = must(fork());
	if (!pid) {
		unsigned long most = read_number("/proc/sys/fs/aio-max-nr");
		unsigned long used = read_number("/proc/sys/fs/aio-nr");

		if (most - used > left)
			must(syscall(SYS_io_setup, (unsigned int)(most - used - left),
				     &context));
		check_eq(write(ready[1], "r", 1), 1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	check_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void give_events(pid_t pid)
{
	must(kill(pid, SIGKILL));
	check_eq(waitpid(pid, NULL, 0), pid);
}

static int not_reached(void *arg)
{
	(void)arg;
	check_failed(__FILE__, __LINE__, "ran without a context");
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

TEST(too_few_events_left_are_a_clear_error)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256], limit[64];
	pid_t pid;

	opt.backend = PIRN_BACKEND_AIO;
	opt.message = message;
	opt.message_bytes = sizeof(message);
	opt.io_depth = 4096;
	snprintf(limit, sizeof(limit), "fs.aio-max-nr is %lu",
		 read_number("/proc/sys/fs/aio-max-nr"));

	pid = take_events(1000);
	check_eq(pirn_run(&opt, not_reached, NULL, NULL), -EAGAIN);
	check(strstr(message, limit));
	check(strstr(message, "4100 events"));
	check(strstr(message, "io_depth"));
	check_eq(pirn_backend_probe(PIRN_BACKEND_AIO, message, sizeof(message)), 0);
	opt.io_depth = 16;
	check_eq(pirn_run(&opt, nothing, NULL, NULL), 0);
	give_events(pid);

	pid = take_events(0);
	check_eq(pirn_backend_probe(PIRN_BACKEND_AIO, message, sizeof(message)),
		 -EAGAIN);
	check(strstr(message, limit));
	check_eq(pirn_run(&opt, not_reached, NULL, NULL), -ENODEV);
	check(strstr(message, limit));
	give_events(pid);
	check_eq(pirn_run(&opt, nothing, NULL, NULL), 0);
}

/* --------------------------------------------------------------- deadlines */

static bool stop_reading;

static int keep_reading(void *arg)
{
	unsigned int i = 0;

	(void)arg;
	while (!stop_reading)
		read_page(file, i++ % 16);
	return 0;
}

static int sleep_amid(void *arg)
{
	unsigned int i, n = *(unsigned int *)arg;
	struct pirn_fiber *reader[4], *holder;
	struct rng rng = { 3 };

	file = open_target();
	fill_target(16);
	/* a job that never ends, then reads that always do, beside each sleep */
	check_eq(pirn_spawn(&holder, hold_fiber, NULL), 0);
	for (i = 0; i < 2 * n; i++) {
		uint64_t ns = rng_below(&rng, 2000000), until = pirn_now() + ns;

		if (i == n)
			for (int k = 0; k < 4; k++)
				check_eq(pirn_spawn(&reader[k], keep_reading,
						    NULL), 0);
		check_eq(pirn_sleep_until(until), 0);
		check_op(clock_ns(), >=, until);
	}
	/* one that has passed */
	check_eq(pirn_sleep_until(1), 0);
	stop_reading = true;
	for (i = 0; i < 4; i++)
		check_eq(pirn_join(reader[i], NULL), 0);
	must(sem_post(&let_go));
	check_eq(pirn_join(holder, NULL), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(deadlines_come_while_ops_are_in_flight)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int n = scaled(100, 40);

	must(sem_init(&let_go, 0, 0));
	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, sleep_amid, &n);
}

static int sleeps_very_long(void *arg)
{
	(void)arg;
	check_eq(pirn_sleep_until(PIRN_NEVER - 1), 0);
	check_failed(__FILE__, __LINE__, "the end of time has come");
}

/* As much as a timespec can hold, and more: sleeps, and is woken all the same. */
static int very_long(void *arg)
{
	struct pirn_fiber *fiber;

	(void)arg;
	file = open_target();
	check_eq(pirn_spawn(&fiber, sleeps_very_long, NULL), 0);
	check_eq(pirn_detach(fiber), 0);
	fill_target(16);
	for (unsigned int i = 0; i < 100; i++)
		read_page(file, i % 16);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_deadline_beyond_all_time_is_slept_for)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, very_long, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_op_fails_and_no_other),
		cmocka_unit_test(a_full_context_takes_the_rest_later),
		cmocka_unit_test(wakes_without_end_take_nothing_from_ops),
		cmocka_unit_test(more_reads_than_the_ring_has_places),
		cmocka_unit_test(too_few_events_left_are_a_clear_error),
		cmocka_unit_test(deadlines_come_while_ops_are_in_flight),
		cmocka_unit_test(a_deadline_beyond_all_time_is_slept_for),
	};

	return run_program(argc, argv, "aio", tests, array_size(tests));
}
