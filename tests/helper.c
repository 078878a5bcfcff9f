// SPDX-License-Identifier: MIT
/*
 * Helper threads: bounded, out of the cores' way, waited for at the end, and
 * what the library hands them is counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>
#include <sys/stat.h>

#include "helper.h"
#include "target.h"

/* A job that hangs until it is let go, as one of a dead disk does. */
struct held {
	struct pirn_job job;
	int mark;
};

static sem_t let_go;
static atomic_uint running, most, done;

static void hold(struct pirn_job *job)
{
	struct held *held = container_of(job, struct held, job);
	unsigned int now = atomic_fetch_add(&running, 1) + 1;
	unsigned int seen = atomic_load(&most);

	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	while (sem_wait(&let_go))
		;
	held->mark = 4711;
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&done, 1);
}

static int hold_fiber(void *arg)
{
	struct held held = { .mark = 0, .job.work = hold };

	(void)arg;
	pirn_job_run(pirn_this(), &held.job, PIRN_HELP_SYNC);
	check_eq(held.mark, 4711);
	return 0;
}

static void wait_for(atomic_uint *what, unsigned int value)
{
	while (atomic_load(what) != value)
		check_eq(pirn_sleep(100000), 0);
}

/* ------------------------------------------------------------------ bounds */

static unsigned int count_threads(const char *prefix)
{
	DIR *dir = must(opendir("/proc/self/task"));
	struct dirent *entry;
	unsigned int n = 0;

	while ((entry = readdir(dir))) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file))
			n += !strncmp(name, prefix, strlen(prefix));
		fclose(file);
	}
	closedir(dir);
	return n;
}

static int bounded(void *arg)
{
	struct pirn_fiber *fiber[20];
	unsigned int i, threads = *(unsigned int *)arg;

	check_eq(count_threads("pirn-help-"), threads);
	for (i = 0; i < 20; i++)
		check_eq(pirn_spawn(&fiber[i], hold_fiber, NULL), 0);
	wait_for(&running, threads);
	/* no more come, however long one looks; other fibers go on */
	for (i = 0; i < 20; i++) {
		check_eq(pirn_sleep(1000000), 0);
		check_eq(atomic_load(&running), threads);
	}
	check_eq(stats_now().helped_sync, 20);
	check_eq(atomic_load(&done), 0);
	for (i = 0; i < 20; i++)
		must(sem_post(&let_go));
	for (i = 0; i < 20; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(atomic_load(&most), threads);
	check_eq(atomic_load(&done), 20);
	return 0;
}

static void bounded_by(unsigned int threads, unsigned int asked)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	must(sem_init(&let_go, 0, 0));
	atomic_store(&most, 0);
	atomic_store(&done, 0);
	opt.helper_threads = asked;
	run_on(&opt, bounded, &threads);
	check_eq(count_threads("pirn-help-"), 0);
}

TEST(as_many_as_asked_for_and_no_more)
{
	bounded_by(1, 1);
	bounded_by(7, 7);
	bounded_by(PIRN_HELPER_THREADS, 0);
}

static int not_reached(void *arg)
{
	(void)arg;
	check_failed(__FILE__, __LINE__, "ran in spite of a bad option");
}

TEST(how_many_has_a_range)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[128];

	opt.helper_threads = PIRN_MAX_HELPERS + 1;
	opt.message = message;
	opt.message_bytes = sizeof(message);
	check_eq(pirn_run(&opt, not_reached, NULL, NULL), -EINVAL);
	check(strstr(message, "helper_threads 257"));
}

/* --------------------------------------------------------- what they are */

struct looks {
	struct pirn_job job;
	cpu_set_t cpus;
	sigset_t blocked;
};

static void look(struct pirn_job *job)
{
	struct looks *looks = container_of(job, struct looks, job);

	must(sched_getaffinity(0, sizeof(looks->cpus), &looks->cpus));
	must(sigprocmask(SIG_BLOCK, NULL, &looks->blocked));
}

static int look_fiber(void *arg)
{
	cpu_set_t *callers = arg;
	struct looks looks = { .job.work = look };
	int sig;

	pirn_job_run(pirn_this(), &looks.job, PIRN_HELP_NAME);
	check(CPU_EQUAL(&looks.cpus, callers));
	for (sig = 1; sig < 32; sig++)
		check_eq(sigismember(&looks.blocked, sig),
			 sig != SIGKILL && sig != SIGSTOP);
	return 0;
}

/* One core on one CPU: the helpers still have all of the caller's. */
TEST(they_run_where_the_caller_may_and_take_no_signals)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	sigset_t before, after;
	cpu_set_t mine;
	char cpu[16];
	int sig;

	must(sched_getaffinity(0, sizeof(mine), &mine));
	must(sigprocmask(SIG_BLOCK, NULL, &before));
	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	opt.cpus = cpu;
	run_on(&opt, look_fiber, &mine);
	must(sigprocmask(SIG_BLOCK, NULL, &after));
	for (sig = 1; sig < 65; sig++)
		check_eq(sigismember(&after, sig), sigismember(&before, sig));
}

/* ------------------------------------------------------------------- waking */

/*
 * One job at a time, so that each end must wake a core that sleeps, or is about
 * to: with spinning, without, and with a nap of the helper that hits both.
 */
static void short_job(struct pirn_job *job)
{
	struct held *held = container_of(job, struct held, job);
	volatile int spin;

	for (spin = 0; spin < held->mark; spin++)
		;
	held->mark = -1;
}

static int jobs_in_turn(void *arg)
{
	unsigned int i, n = *(unsigned int *)arg;
	struct rng rng = { 5 };

	for (i = 0; i < n; i++) {
		struct held held = { .job.work = short_job };

		held.mark = (int)rng_below(&rng, 20000);
		pirn_job_run(pirn_this(), &held.job, PIRN_HELP_SYNC);
		check_eq(held.mark, -1);
	}
	return 0;
}

TEST(the_end_of_a_job_wakes_its_core)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int n = scaled(5000, 500);

	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, jobs_in_turn, &n);
	opt.spin_ns = 5000;
	run_on(&opt, jobs_in_turn, &n);
}

static int jobs_of_many(void *arg)
{
	run_fibers_everywhere(10, jobs_in_turn, arg);
	return 0;
}

TEST(each_job_ends_on_its_own_core)
{
	unsigned int n = scaled(500, 50);

	run_on_cores(NULL, jobs_of_many, &n);
}

/* ---------------------------------------------------------------- the end */

static atomic_uint left;	/* the first fiber is about to end */

static int leave_parked(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 6; i++)
		check_eq(pirn_spawn(NULL, hold_fiber, NULL), 0);
	wait_for(&running, 2);
	atomic_store(&left, 1);
	return 3;
}

static void *let_go_later(void *arg)
{
	unsigned int i;

	while (!atomic_load(&left))
		nap_ms(1);
	nap_ms(50);
	check_eq(atomic_load(&done), 0);
	for (i = 0; i < 6; i++)
		must(sem_post(&let_go));
	return arg;
}

/* A job writes to the stack of the fiber that waits for it. */
TEST(the_end_waits_for_jobs_under_way)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	pthread_t thread;

	must(sem_init(&let_go, 0, 0));
	opt.helper_threads = 2;
	check_eq(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	check_eq(run_on(&opt, leave_parked, NULL), 3);
	check_eq(atomic_load(&done), 6);
	check_eq(pthread_join(thread, NULL), 0);
}

static unsigned int count_fds(void)
{
	DIR *dir = must(opendir("/proc/self/fd"));
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int open_fiber(void *arg)
{
	struct pirn_file *file;

	(void)arg;
	check_eq(pirn_open(&file, test_target()->path, O_RDWR, 0), 0);
	check_failed(__FILE__, __LINE__, "ran after the end");
}

static int close_fiber(void *arg)
{
	check_eq(pirn_close(arg), 0);
	check_failed(__FILE__, __LINE__, "ran after the end");
}

/* Both kinds are queued behind a job that hangs, and done after the last turn. */
static int leave_files(void *arg)
{
	struct pirn_file *file;

	(void)arg;
	check_eq(pirn_open(&file, test_target()->path, O_RDWR, 0), 0);
	check_eq(pirn_spawn(NULL, hold_fiber, NULL), 0);
	wait_for(&running, 1);
	check_eq(pirn_spawn(NULL, open_fiber, NULL), 0);
	check_eq(pirn_spawn(NULL, close_fiber, file), 0);
	while (stats_now().helped_open < 3)
		check_eq(pirn_yield(), 0);
	atomic_store(&left, 1);
	return 0;
}

TEST(a_file_opened_or_closed_meanwhile_is_closed_once)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int before;
	pthread_t thread;

	must(sem_init(&let_go, 0, 0));
	test_target();
	opt.helper_threads = 1;
	before = count_fds();
	check_eq(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	run_on(&opt, leave_files, NULL);
	check_eq(pthread_join(thread, NULL), 0);
	check_eq(count_fds(), before);
}

/* -------------------------------------------------------------- what for */

static bool stop_counting;
static unsigned long turns;

static int count_turns(void *arg)
{
	(void)arg;
	while (!stop_counting) {
		turns++;
		check_eq(pirn_yield(), 0);
	}
	return 0;
}

/* @call parked: another fiber ran before it came back. */
static int parked(unsigned long before, int result)
{
	check_op(turns, >, before);
	return result;
}

#define parks(call) ({ unsigned long before_ = turns; parked(before_, call); })

static int names(void *arg)
{
	const char *dir = arg;
	char from[300], to[300];
	struct pirn_core_stats was, is;
	struct pirn_fiber *other;
	struct pirn_file *file;
	struct stat st;

	snprintf(from, sizeof(from), "%s/from", dir);
	snprintf(to, sizeof(to), "%s/to", dir);
	check_eq(pirn_spawn(&other, count_turns, NULL), 0);
	check_eq(pirn_yield(), 0);
	was = stats_now();

	check_eq(parks(pirn_open(&file, test_target()->path, O_RDWR, 0)), 0);
	check_eq(parks(pirn_close(file)), 0);
	check_eq(parks(pirn_open(&file, "/no/such/file", O_RDWR, 0)), -ENOENT);
	check(strstr(pirn_reason(), "/no/such/file"));
	check_eq(pirn_open(&file, from, O_RDWR | O_CREAT, 0600), 0);
	check_eq(parks(pirn_truncate(file, 12345)), 0);
	check_eq(pirn_size(file), 12345);
	check_eq(pirn_close(file), 0);
	is = stats_now();
	check_eq(is.helped_open - was.helped_open, 5);
	check_eq(is.helped_truncate - was.helped_truncate, 1);

	check_eq(parks(pirn_rename(from, to)), 0);
	check(stat(from, &st) && errno == ENOENT);
	check_eq(parks(pirn_sync_dir(dir)), 0);
	check_eq(parks(pirn_unlink(to)), 0);
	check(stat(to, &st) && errno == ENOENT);
	check_eq(parks(pirn_unlink(to)), -ENOENT);
	check(strstr(pirn_reason(), to));
	check_eq(parks(pirn_rename(from, to)), -ENOENT);
	check(strstr(pirn_reason(), from) && strstr(pirn_reason(), to));
	check_eq(parks(pirn_sync_dir(from)), -ENOENT);
	is = stats_now();
	check_eq(is.helped_name - was.helped_name, 4);
	check_eq(is.helped_sync - was.helped_sync, 2);
	check_eq(is.helped_buffered, 0);
	check_eq(is.helped_would_block, 0);
	stop_counting = true;
	check_eq(pirn_join(other, NULL), 0);
	return 0;
}

TEST(what_names_a_path_parks_and_is_counted)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s", new_path("names"));
	test_target();
	must(mkdir(dir, 0700));
	run_on(NULL, names, dir);
	must(rmdir(dir));
}

/* A reason is the fiber's own, whoever else fails meanwhile. */
static int own_reason(void *arg)
{
	char path[64];
	unsigned int i, *next = arg, mine = (*next)++;

	snprintf(path, sizeof(path), "/no/such/file/%u.", mine);
	for (i = 0; i < 50; i++) {
		check_eq(pirn_unlink(path), -ENOENT);
		check(strstr(pirn_reason(), path));
	}
	return 0;
}

static int own_reasons(void *arg)
{
	run_fibers(20, own_reason, arg);
	return 0;
}

TEST(each_fiber_gets_its_own_reason)
{
	unsigned int next = 0;

	run_on(NULL, own_reasons, &next);
}

/* A file that something is done to is not closed under it. */
static int truncate_held(void *arg)
{
	check_eq(pirn_truncate(arg, 4096), 0);
	return 0;
}

static int close_while_truncating(void *arg)
{
	struct pirn_fiber *holder, *truncater;
	struct pirn_file *file;

	check_eq(pirn_open(&file, arg, O_RDWR | O_CREAT, 0600), 0);
	check_eq(pirn_spawn(&holder, hold_fiber, NULL), 0);
	wait_for(&running, 1);
	check_eq(pirn_spawn(&truncater, truncate_held, file), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_close(file), -EBUSY);
	must(sem_post(&let_go));
	check_eq(pirn_join(holder, NULL), 0);
	check_eq(pirn_join(truncater, NULL), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(close_refuses_while_a_truncate_is_under_way)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	must(sem_init(&let_go, 0, 0));
	opt.helper_threads = 1;
	run_on(&opt, close_while_truncating,
	       (void *)(uintptr_t)new_path("truncated"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_asked_for_and_no_more),
		cmocka_unit_test(how_many_has_a_range),
		cmocka_unit_test(they_run_where_the_caller_may_and_take_no_signals),
		cmocka_unit_test(the_end_of_a_job_wakes_its_core),
		cmocka_unit_test(each_job_ends_on_its_own_core),
		cmocka_unit_test(the_end_waits_for_jobs_under_way),
		cmocka_unit_test(a_file_opened_or_closed_meanwhile_is_closed_once),
		cmocka_unit_test(what_names_a_path_parks_and_is_counted),
		cmocka_unit_test(each_fiber_gets_its_own_reason),
		cmocka_unit_test(close_refuses_while_a_truncate_is_under_way),
	};

	return run_program(argc, argv, "helper", tests, array_size(tests));
}
