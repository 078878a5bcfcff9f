// SPDX-License-Identifier: MIT
/*
 * Does one thing wrong (or nothing) in fibers, to be reported on by a tool or by
 * the library: tests/reports.c runs it and reads the report.
 *
 * Usage: victim ACT
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "helpers.h"

#define STACK (64 * KiB)
#define kept_apart __attribute__((noinline, noclone))

static struct pirn_options options = {
	.size = sizeof(struct pirn_options), .stack_bytes = STACK,
};

/* Runs fn in a fiber called "victim" and joins it. */
static void in_fiber(int (*fn)(void *arg), void *arg)
{
	struct pirn_fiber_options opt = PIRN_FIBER_OPTIONS_INIT;
	struct pirn_fiber *fiber;

	opt.name = "victim";
	check_eq(pirn_spawn_options(&fiber, &opt, fn, arg), 0);
	check_eq(pirn_join(fiber, NULL), 0);
}

/* ---------------------------------------------------------------- overflow */

static volatile unsigned int never;

kept_apart static unsigned int recurse_for_ever(unsigned int depth)
{
	volatile char frame[512];

	frame[depth % sizeof(frame)] = (char)depth;
	if (never)
		return 0;
	return recurse_for_ever(depth + 1) + (unsigned int)frame[1];
}

static int overflowing(void *arg)
{
	(void)arg;
	return (int)recurse_for_ever(0);
}

static int overflow_there(void *arg)
{
	(void)arg;
	/* with parked neighbours, below and above */
	in_fiber(overflowing, NULL);
	return 0;
}

static int act_overflow(void *arg)
{
	return overflow_there(arg);
}

/* The first fiber: its entry is what pirn_run() was given. */
static int act_overflow_main(void *arg)
{
	return overflowing(arg);
}

static int act_overflow_core1(void *arg)
{
	check_eq(pirn_call(1, overflow_there, arg, NULL), 0);
	return 0;
}

/* --------------------------------------------------------- other SIGSEGVs */

static int hit_null(void *arg)
{
	volatile int *nowhere = arg;

	return *nowhere;
}

static int act_wild(void *arg)
{
	(void)arg;
	in_fiber(hit_null, NULL);
	return 0;
}

static int park(void *arg)
{
	(void)arg;
	return pirn_park();
}

static int hit_neighbour(void *arg)
{
	/* well inside what lies below the neighbour's 64 KiB of stack */
	volatile char *at = (volatile char *)arg - STACK - 8 * KiB;

	return *at;
}

static int act_neighbour(void *arg)
{
	struct pirn_fiber_options opt = PIRN_FIBER_OPTIONS_INIT;
	struct pirn_fiber *fiber;

	(void)arg;
	opt.name = "neighbour";
	check_eq(pirn_spawn_options(&fiber, &opt, park, NULL), 0);
	check_eq(pirn_yield(), 0);
	in_fiber(hit_neighbour, fiber);
	return 0;
}

static int act_sent(void *arg)
{
	(void)arg;
	raise(SIGSEGV);
	puts("went on");
	return 0;
}

static void *hit_null_thread(void *arg)
{
	hit_null(arg);
	return NULL;
}

static int act_thread(void *arg)
{
	pthread_t thread;

	(void)arg;
	check_eq(pthread_create(&thread, NULL, hit_null_thread, NULL), 0);
	check_eq(pthread_join(thread, NULL), 0);
	return 0;
}

static void earlier(int sig, siginfo_t *info, void *context)
{
	static const char text[] = "the earlier handler\n";
	ssize_t n = write(STDOUT_FILENO, text, sizeof(text) - 1);

	/* what it would have been given without anyone in between */
	_exit(n > 0 && sig == SIGSEGV && info->si_addr && context ? 42 : 43);
}

static int act_chain(void *arg)
{
	return act_overflow(arg);
}

/* ------------------------------------------------------- AddressSanitizer */

kept_apart static int write_past(volatile char *buf, unsigned int at)
{
	buf[at] = 1;
	return buf[0];
}

static int bounds(void *arg)
{
	char buf[16] = "";

	(void)arg;
	/* among others that park, so that the stack was left and entered */
	check_eq(pirn_yield(), 0);
	return write_past(buf, sizeof(buf) + never);
}

static int act_bounds(void *arg)
{
	(void)arg;
	in_fiber(bounds, NULL);
	return 0;
}

static volatile uintptr_t kept_address;

static int show_local(void *arg)
{
	char local[64] = "";

	(void)arg;
	kept_address = (uintptr_t)local;
	__asm__ volatile("" : : "r"(local) : "memory");
	return 0;
}

kept_apart static int read_dead(void)
{
	return *(volatile char *)kept_address;
}

static int act_dead(void *arg)
{
	(void)arg;
	in_fiber(show_local, NULL);
	return read_dead();
}

/* ----------------------------------------------------------------- leaks */

kept_apart static void *take_memory(size_t bytes)
{
	void *memory = malloc(bytes);

	check(memory);
	memset(memory, 1, bytes);
	return memory;
}

static void *volatile in_hand;

/* Wipes what calls before have left of pointers. */
kept_apart static void scrub(void)
{
	volatile char dead[4096];

	for (unsigned int i = 0; i < sizeof(dead); i++)
		dead[i] = 0;
}

kept_apart static void lose_memory(void)
{
	in_hand = take_memory(12345);
	in_hand = NULL;
}

static int losing(void *arg)
{
	(void)arg;
	lose_memory();
	scrub();
	return 0;
}

static int act_leak(void *arg)
{
	(void)arg;
	in_fiber(losing, NULL);
	return 0;
}

/* Its memory is known to nobody but its stack. */
static int holding(void *arg)
{
	void *volatile mine = take_memory(2345);

	(void)arg;
	scrub();
	check_eq(pirn_park(), 0);
	free(mine);
	return 0;
}

static int act_held(void *arg)
{
	struct pirn_fiber *fiber[10];
	int i, leaks = 0;

	(void)arg;
	for (i = 0; i < 10; i++)
		check_eq(pirn_spawn(&fiber[i], holding, NULL), 0);
	check_eq(pirn_yield(), 0);
	scrub();
#if defined(__SANITIZE_ADDRESS__)
	leaks = __lsan_do_recoverable_leak_check();
#endif
	for (i = 0; i < 10; i++) {
		check_eq(pirn_unpark(fiber[i]), 0);
		check_eq(pirn_join(fiber[i], NULL), 0);
	}
	return leaks;
}

/* What a fiber that has ended left on its stack holds nothing. */
static int forgetting(void *arg)
{
	void *volatile mine = take_memory(3456);

	(void)arg;
	return !mine;
}

static int act_forgotten(void *arg)
{
	(void)arg;
	in_fiber(forgetting, NULL);
	scrub();
#if defined(__SANITIZE_ADDRESS__)
	return __lsan_do_recoverable_leak_check() ? 0 : 1;
#else
	return 1;
#endif
}

static int act_drop(void *arg)
{
	for (int i = 0; i < 20; i++)
		check_eq(pirn_spawn(NULL, park, arg), 0);
	return pirn_yield();
}

static unsigned long pages_mapped(void)
{
	unsigned long pages;
	FILE *file = fopen("/proc/self/statm", "r");

	check(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages;
}

/* Runtimes that end with fibers parked leave nothing, of the tool's either. */
static int drop_many(void)
{
	unsigned long before = 0;

	for (int i = 0; i < 25; i++) {
		run_on(&options, act_drop, NULL);
		if (i == 4)
			before = pages_mapped();
	}
	check_op((pages_mapped() - before) / 256, <, 64);	/* MiB */
	return 0;
}

/* --------------------------------------------------------- ThreadSanitizer */

static long shared;

kept_apart static void add_without_asking(void)
{
	shared++;
}

static int racing(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		add_without_asking();
		check_eq(pirn_yield(), 0);
	}
	return arg != NULL;
}

static int act_race(void *arg)
{
	struct pirn_fiber *fiber;

	check_eq(pirn_spawn(&fiber, racing, arg), 0);
	check_eq(pirn_call(1, racing, arg, NULL), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	return 0;
}

/* Of one core, fibers take turns: that is no race, nor is what calls carry. */
static int handed_over(void *arg)
{
	add_without_asking();
	return arg != NULL;
}

static int act_no_race(void *arg)
{
	struct pirn_fiber *fiber[4];

	for (int i = 0; i < 4; i++)
		check_eq(pirn_spawn(&fiber[i], racing, arg), 0);
	for (int i = 0; i < 4; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	for (int i = 0; i < 100; i++) {
		check_eq(pirn_call(1, handed_over, arg, NULL), 0);
		add_without_asking();
	}
	check_eq(shared, 4200);
	return 0;
}

/* Stacks that carried many fibers: what a tool keeps of each must end with it. */
static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int act_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200000; i++) {
		struct pirn_fiber *fiber;

		check_eq(pirn_spawn(&fiber, nothing, NULL), 0);
		check_eq(pirn_join(fiber, NULL), 0);
	}
	return 0;
}

/* ---------------------------------------------------------------- Valgrind */

kept_apart static void use_stack(unsigned int depth)
{
	char frame[256];

	memset(frame, (int)depth, sizeof(frame));
	if (depth)
		use_stack(depth - 1);
	else
		check_eq(pirn_yield(), 0);
	check_eq(frame[17], (char)depth);
}

static int used(void *arg)
{
	void *memory = take_memory(1000);

	for (int i = 0; i < 20; i++) {
		use_stack(50);
		check_eq(pirn_sleep(1000), 0);
	}
	free(memory);
	return arg != NULL;
}

static int used_there(void *arg)
{
	run_fibers(10, used, arg);
	return 0;
}

static int act_clean(void *arg)
{
	char *buf;
	struct pirn_file *file;

	for (unsigned int i = 0; i < (unsigned int)pirn_core_count(); i++)
		check_eq(pirn_call(i, used_there, arg, NULL), 0);
	buf = pirn_buf_alloc(4096);
	check(buf);
	check_eq(pirn_open(&file, "/proc/self/exe", O_RDONLY | PIRN_O_BUFFERED,
			   0), 0);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_eq(memcmp(buf + 1, "ELF", 3), 0);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static volatile char sink;

kept_apart static int read_past(const volatile char *memory, size_t at)
{
	sink = memory[at];
	return 0;
}

static int reading(void *arg)
{
	char *memory = take_memory(100);
	int ret;

	check_eq(pirn_yield(), 0);
	ret = read_past(memory, 100 + never) + (arg != NULL);
	free(memory);
	return ret;
}

static int act_read(void *arg)
{
	(void)arg;
	in_fiber(reading, NULL);
	return 0;
}

/* ---------------------------------------------------------- pthread mutexes */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

kept_apart static void lock_it(void)
{
	check_eq(pthread_mutex_lock(&mutex), 0);
}

static int yield_with_it(void *arg)
{
	lock_it();
	return arg ? 0 : pirn_yield();
}

static int act_mutex(void *arg)
{
	in_fiber(yield_with_it, arg);
	return 0;
}

static int act_mutex_end(void *arg)
{
	(void)arg;
	in_fiber(yield_with_it, &mutex);
	return 0;
}

/* What is given back in time, and what was not got, holds nobody up. */
static int act_mutex_fair(void *arg)
{
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec past = { 0, 0 };

	for (int i = 0; i < 3; i++) {
		lock_it();
		check_eq(pthread_mutex_trylock(&mutex), EBUSY);
		check_eq(pthread_mutex_timedlock(&mutex, &past), ETIMEDOUT);
		check_eq(pthread_cond_timedwait(&cond, &mutex, &past), ETIMEDOUT);
		check_eq(pthread_mutex_unlock(&mutex), 0);
		check_eq(pirn_yield(), 0);
		check_eq(pthread_mutex_trylock(&mutex), 0);
		check_eq(pthread_mutex_unlock(&mutex), 0);
		check_eq(pirn_yield(), 0);
	}
	return arg != NULL;
}

/* -------------------------------------------------------------------- main */

struct act {
	const char *name;
	int (*fn)(void *arg);
	bool cores;
	bool quiet;		/* without PIRN_REPORT_OVERFLOW */
};

static const struct act acts[] = {
	{ "overflow", act_overflow, false, false },
	{ "overflow-main", act_overflow_main, false, false },
	{ "overflow-core1", act_overflow_core1, true, false },
	{ "overflow-quiet", act_overflow, false, true },
	{ "wild", act_wild, false, false },
	{ "neighbour", act_neighbour, false, false },
	{ "sent", act_sent, false, false },
	{ "ignored", act_sent, false, false },
	{ "thread", act_thread, false, false },
	{ "chain", act_chain, false, false },
	{ "bounds", act_bounds, false, true },
	{ "dead", act_dead, false, true },
	{ "leak", act_leak, false, true },
	{ "held", act_held, false, true },
	{ "forgotten", act_forgotten, false, true },
	{ "race", act_race, true, true },
	{ "no-race", act_no_race, true, true },
	{ "many", act_many, false, true },
	{ "clean", act_clean, true, true },
	{ "read", act_read, false, true },
	{ "mutex", act_mutex, false, true },
	{ "mutex-end", act_mutex_end, false, true },
	{ "mutex-fair", act_mutex_fair, true, true },
};

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct rlimit no_core = { 0, 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	if (argc == 2 && !strcmp(argv[1], "drop"))
		return drop_many();
	for (size_t i = 0; argc == 2 && i < array_size(acts); i++) {
		if (strcmp(argv[1], acts[i].name))
			continue;
		if (!strcmp(argv[1], "chain")) {
			act.sa_sigaction = earlier;
			must(sigaction(SIGSEGV, &act, NULL));
		}
		if (!strcmp(argv[1], "ignored"))
			signal(SIGSEGV, SIG_IGN);
		if (!acts[i].quiet)
			options.flags = PIRN_REPORT_OVERFLOW;
		return acts[i].cores ? run_on_cores(&options, acts[i].fn, NULL) :
				       run_on(&options, acts[i].fn, NULL);
	}
	fprintf(stderr, "victim: no such act: %s\n", argc > 1 ? argv[1] : "");
	return 2;
}
