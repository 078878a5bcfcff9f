// SPDX-License-Identifier: MIT
/*
 * What is reported when a fiber goes wrong: by the library, by the sanitizers,
 * by Valgrind.  Each case runs tests/tools/victim and reads what was said.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"

#define EXIT_SKIPPED 77

/* ------------------------------------------------------------ the victim */

static char report[256 * KiB];

static void read_report(FILE *file)
{
	size_t n;

	rewind(file);
	n = fread(report, 1, sizeof(report) - 1, file);
	report[n] = '\0';
	fclose(file);
}

/* Runs it, under @tool with its options where that is given; its wait status. */
static int victim(const char *act, const char *const *tool)
{
	const char *args[32];
	char path[512];
	ssize_t len = must(readlink("/proc/self/exe", path, sizeof(path) - 32));
	size_t n = 0;
	char *slash;
	FILE *file;
	int status;
	pid_t pid;

	path[len] = '\0';
	slash = strrchr(path, '/');
	check(slash);
	snprintf(slash, 32, "/tools/victim");
	while (tool && *tool)
		args[n++] = *tool++;
	args[n++] = path;
	args[n++] = act;
	args[n] = NULL;
	file = tmpfile();
	check(file);
	pid = must(fork());
	if (!pid) {
		dup2(fileno(file), STDOUT_FILENO);
		dup2(fileno(file), STDERR_FILENO);
		execvp(args[0], (char *const *)args);
		_exit(127);
	}
	must(waitpid(pid, &status, 0));
	read_report(file);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		skip_case("%.200s", report);
	return status;
}

__attribute__((noreturn, unused))
static void not_as_wanted(int line, const char *what, const char *text)
{
	check_failed(__FILE__, line, "the report %s \"%s\":\n%s", what, text,
		     report);
}

#define check_says(text)                                                      \
	do {                                                                  \
		if (!strstr(report, text))                                    \
			not_as_wanted(__LINE__, "lacks", text);               \
	} while (0)
#define check_says_not(text)                                                  \
	do {                                                                  \
		if (strstr(report, text))                                     \
			not_as_wanted(__LINE__, "has", text);                 \
	} while (0)
#define check_killed(status, sig)                                             \
	do {                                                                  \
		if (!WIFSIGNALED(status) || WTERMSIG(status) != (sig))        \
			not_as_wanted(__LINE__, "comes without", #sig);       \
	} while (0)
#define check_exited(status, code)                                            \
	do {                                                                  \
		if (!WIFEXITED(status) || WEXITSTATUS(status) != (code))      \
			not_as_wanted(__LINE__, "comes without status", #code); \
	} while (0)

#if !UNDER_ASAN && !UNDER_TSAN

/* ------------------------------------------------------- the library itself */

/* What the report gives as (victim+0xN) is what addr2line takes. */
static void check_offset_is(const char *function)
{
	char command[640], path[512], name[128] = "";
	ssize_t len = must(readlink("/proc/self/exe", path, sizeof(path) - 1));
	char *at = strstr(report, "(victim+0x");
	FILE *pipe;

	if (!at)
		not_as_wanted(__LINE__, "lacks", "(victim+0x");
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	snprintf(command, sizeof(command),
		 "addr2line -f -e %s/tools/victim 0x%lx", path,
		 strtoul(at + 8, NULL, 16));
	pipe = popen(command, "r");
	check(pipe && fgets(name, sizeof(name), pipe));
	check_eq(pclose(pipe), 0);
	name[strcspn(name, "\n")] = '\0';
	if (strcmp(name, function))
		check_failed(__FILE__, __LINE__, "%s gives %s, not %s", command,
			     name, function);
}

TEST(an_overflow_is_named)
{
	check_killed(victim("overflow", NULL), SIGSEGV);
	check_says("pirn: stack overflow on core 0, fiber \"victim\" with the function 0x");
	check_says(": its stack of 65536 bytes is used up; raise pirn_options.stack_bytes\n");
	/* one line, once */
	check(strchr(report, '\n') == strrchr(report, '\n'));
	check_offset_is("overflowing");
}

TEST(an_overflow_of_the_first_fiber_is_named)
{
	check_killed(victim("overflow-main", NULL), SIGSEGV);
	check_says("pirn: stack overflow on core 0, fiber \"main\" with the function 0x");
	/* of the function pirn_run() was given, not of what calls that */
	check_offset_is("run_checked");
}

TEST(an_overflow_on_another_core_is_named)
{
	check_killed(victim("overflow-core1", NULL), SIGSEGV);
	check_says("pirn: stack overflow on core 1, fiber \"victim\"");
}

TEST(no_handler_is_installed_unasked)
{
	check_killed(victim("overflow-quiet", NULL), SIGSEGV);
	check_eq(report[0], '\0');
}

TEST(other_faults_are_passed_on)
{
	check_killed(victim("wild", NULL), SIGSEGV);
	check_eq(report[0], '\0');
	check_killed(victim("thread", NULL), SIGSEGV);
	check_eq(report[0], '\0');
}

TEST(a_signal_that_was_sent_is_passed_on)
{
	check_killed(victim("sent", NULL), SIGSEGV);
	check_eq(report[0], '\0');
	check_exited(victim("ignored", NULL), 0);
	check_says("went on\n");
	check_says_not("pirn");
}

TEST(another_fibers_guard_is_told_apart)
{
	check_killed(victim("neighbour", NULL), SIGSEGV);
	check_says("pirn: another fiber's stack guard was hit on core 0, fiber \"victim\"");
	check_says("below the stack of the fiber \"neighbour\"");
	check_says_not("overflow");
}

TEST(the_handler_before_gets_its_turn)
{
	check_exited(victim("chain", NULL), 42);
	check_says("pirn: stack overflow on core 0");
	check_says("the earlier handler\n");
}

/* ------------------------------------------- what the process had before */

static void first_handler(int sig)
{
	(void)sig;
	_exit(50);
}

static void second_handler(int sig)
{
	(void)sig;
	_exit(51);
}

typedef void (*handler)(int);

static handler handler_now(void)
{
	struct sigaction act;

	must(sigaction(SIGSEGV, NULL, &act));
	return act.sa_handler;
}

static atomic_int arrived;

/* Both runtimes are there at once; the one with a longer turn ends last. */
static int at_once(void *arg)
{
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < 2)
		check_eq(pirn_sleep(100000), 0);
	check(handler_now() != first_handler);
	if (!arg)
		return 0;
	while (atomic_load(&arrived) < 3)
		check_eq(pirn_sleep(100000), 0);
	/* the first has ended, this one is still watched over */
	check(handler_now() != first_handler);
	return 0;
}

static void *runtime(void *arg)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.flags = PIRN_REPORT_OVERFLOW;
	run_on(&opt, at_once, arg);
	return NULL;
}

TEST(the_handler_before_is_put_back_by_the_last_runtime)
{
	pthread_t thread[2];

	signal(SIGSEGV, first_handler);
	check_eq(pthread_create(&thread[0], NULL, runtime, NULL), 0);
	check_eq(pthread_create(&thread[1], NULL, runtime, &thread), 0);
	check_eq(pthread_join(thread[0], NULL), 0);
	check(handler_now() != first_handler);
	atomic_store(&arrived, 3);
	check_eq(pthread_join(thread[1], NULL), 0);
	check(handler_now() == first_handler);
}

static int put_above(void *arg)
{
	must(sigaction(SIGSEGV, NULL, arg));
	signal(SIGSEGV, second_handler);
	return 0;
}

static int handler_is_not(void *arg)
{
	check(handler_now() != *(handler *)arg);
	return 0;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Someone takes the signal meanwhile: it stays theirs. */
TEST(a_handler_put_above_stays)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	handler before = first_handler;
	struct sigaction ours;

	opt.flags = PIRN_REPORT_OVERFLOW;
	signal(SIGSEGV, first_handler);
	run_on(&opt, put_above, &ours);
	check(handler_now() == second_handler);
	/* that one may call ours, which must not then call that one */
	run_on(&opt, nothing, NULL);
	check(handler_now() == second_handler);
	/* and when it gave the signal up, all is as at first */
	must(sigaction(SIGSEGV, &ours, NULL));
	run_on(&opt, nothing, NULL);
	check(handler_now() == first_handler);
	run_on(&opt, handler_is_not, &before);
	check(handler_now() == first_handler);
}

TEST(flags_that_mean_nothing_are_refused)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[200];

	opt.message = message;
	opt.message_bytes = sizeof(message);
	opt.flags = PIRN_REPORT_OVERFLOW << 8;
	check_eq(pirn_run(&opt, nothing, NULL, NULL), -EINVAL);
	check(strstr(message, "flags"));
}

#if defined(PIRN_DEBUG)
TEST(a_pthread_mutex_held_across_a_park_is_named)
{
	check_killed(victim("mutex", NULL), SIGABRT);
	check_says("pirn: pthread mutex 0x");
	check_says(" held on core 0 by fiber \"victim\", which parks; it was locked at (victim+0x");
	check(strchr(report, '\n') == strrchr(report, '\n'));
	check_offset_is("lock_it");
}

TEST(a_pthread_mutex_of_a_fiber_that_ends_is_named)
{
	check_killed(victim("mutex-end", NULL), SIGABRT);
	check_says("by fiber \"victim\", which ends; it was locked at (victim+0x");
}
#endif

TEST(a_pthread_mutex_given_back_in_time_is_nobodys_matter)
{
	check_exited(victim("mutex-fair", NULL), 0);
	check_eq(report[0], '\0');
}

/* ---------------------------------------------------------------- Valgrind */

#define LOST "--leak-check=full", "--errors-for-leak-kinds=definite"

/* It runs one thread at a time: fair, or a core that spins keeps the others. */
static const char *const memcheck[] = {
	"valgrind", "--error-exitcode=9", "--fair-sched=yes", LOST, NULL
};

static void need_valgrind(void)
{
	if (system("valgrind --version >/dev/null 2>&1"))
		skip_case("no valgrind here");
#if !__has_include(<valgrind/valgrind.h>)
	skip_case("built without <valgrind/valgrind.h>");
#endif
}

TEST(valgrind_finds_nothing_in_a_clean_run)
{
	need_valgrind();
	check_exited(victim("clean", memcheck), 0);
	check_says("ERROR SUMMARY: 0 errors");
	check_says_not("switching stacks");
	/* of linux-aio's polls Valgrind 3.19 says that it does not know them */
	if (wanted_backend() != PIRN_BACKEND_AIO)
		check_says_not("Warning");
}

TEST(valgrind_finds_a_leak_in_a_fiber)
{
	need_valgrind();
	check_exited(victim("leak", memcheck), 9);
	check_says("12,345 bytes in 1 blocks are definitely lost");
	check_says("lose_memory");
	check_says("fiber_main");
	check_says_not("switching stacks");
}

TEST(valgrind_finds_a_bad_read_in_a_fiber)
{
	need_valgrind();
	check_exited(victim("read", memcheck), 9);
	check_says("Invalid read of size 1");
	check_says("read_past");
	check_says("fiber_main");
	check_says_not("switching stacks");
}

#elif UNDER_ASAN

/* ------------------------------------------------------- AddressSanitizer */

TEST(asan_finds_a_bad_write_in_a_fiber)
{
	check_exited(victim("bounds", NULL), 99);
	check_says("stack-buffer-overflow");
	check_says(" in write_past ");
	check_says(" in bounds ");
	check_says(" in fiber_main ");
	check_says("This frame has 1 object(s)");
	check_says("'buf'");
}

TEST(asan_knows_the_end_of_a_fibers_stack)
{
	check_exited(victim("overflow-quiet", NULL), 99);
	check_says("stack-overflow");
	check_says(" in recurse_for_ever ");
}

/* With both, the library's line comes first. */
TEST(asan_is_the_handler_before)
{
	check_exited(victim("overflow", NULL), 99);
	check_says("pirn: stack overflow on core 0, fiber \"victim\"");
	check_says("AddressSanitizer: stack-overflow");
	check(strstr(report, "pirn: stack") < strstr(report, "AddressSan"));
}

TEST(asan_finds_the_use_of_a_dead_fibers_stack)
{
	check_exited(victim("dead", NULL), 99);
	check_says("use-after-poison");
	check_says(" in read_dead ");
}

TEST(lsan_finds_a_leak_in_a_fiber)
{
	check_exited(victim("leak", NULL), 99);
	check_says("LeakSanitizer: detected memory leaks");
	check_says("12345 byte(s)");
	check_says(" in lose_memory ");
}

/* While the runtime is there, which has memory of its own all over. */
TEST(lsan_sees_what_parked_fibers_hold)
{
	check_exited(victim("held", NULL), 0);
	check_says_not("LeakSanitizer");
}

TEST(lsan_does_not_see_what_dead_fibers_held)
{
	victim("forgotten", NULL);
	check_says("3456 byte(s)");
	check_says(" in forgetting ");
	check_says("SUMMARY: AddressSanitizer: 3456 byte(s) leaked in 1 allocation(s)");
}

/* Locals then lie in memory of the tool's own, some for each fiber. */
TEST(dropped_fibers_leave_nothing_of_the_tools)
{
	const char *now = getenv("ASAN_OPTIONS");
	char options[512];

	snprintf(options, sizeof(options),
		 "%s:detect_stack_use_after_return=1", now ? now : "");
	setenv("ASAN_OPTIONS", options, 1);
	check_exited(victim("drop", NULL), 0);
}

#else

/* -------------------------------------------------------- ThreadSanitizer */

TEST(tsan_finds_a_race_between_cores)
{
	not_simulated("its cores are one thread");
	check_exited(victim("race", NULL), 99);
	check_says("ThreadSanitizer: data race");
	check_says("add_without_asking");
	check_says("'shared'");
}

TEST(tsan_finds_none_between_fibers_of_a_core)
{
	check_exited(victim("no-race", NULL), 0);
	check_eq(report[0], '\0');
}

#endif

/* What a tool remembers of a fiber goes when it ends. */
TEST(many_fibers_one_after_the_other)
{
	check_exited(victim("many", NULL), 0);
	check_eq(report[0], '\0');
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#if !UNDER_ASAN && !UNDER_TSAN
		cmocka_unit_test(an_overflow_is_named),
		cmocka_unit_test(an_overflow_of_the_first_fiber_is_named),
		cmocka_unit_test(an_overflow_on_another_core_is_named),
		cmocka_unit_test(no_handler_is_installed_unasked),
		cmocka_unit_test(other_faults_are_passed_on),
		cmocka_unit_test(a_signal_that_was_sent_is_passed_on),
		cmocka_unit_test(another_fibers_guard_is_told_apart),
		cmocka_unit_test(the_handler_before_gets_its_turn),
		cmocka_unit_test(the_handler_before_is_put_back_by_the_last_runtime),
		cmocka_unit_test(a_handler_put_above_stays),
		cmocka_unit_test(flags_that_mean_nothing_are_refused),
#if defined(PIRN_DEBUG)
		cmocka_unit_test(a_pthread_mutex_held_across_a_park_is_named),
		cmocka_unit_test(a_pthread_mutex_of_a_fiber_that_ends_is_named),
#endif
		cmocka_unit_test(a_pthread_mutex_given_back_in_time_is_nobodys_matter),
		cmocka_unit_test(valgrind_finds_nothing_in_a_clean_run),
		cmocka_unit_test(valgrind_finds_a_leak_in_a_fiber),
		cmocka_unit_test(valgrind_finds_a_bad_read_in_a_fiber),
#elif UNDER_ASAN
		cmocka_unit_test(asan_finds_a_bad_write_in_a_fiber),
		cmocka_unit_test(asan_knows_the_end_of_a_fibers_stack),
		cmocka_unit_test(asan_is_the_handler_before),
		cmocka_unit_test(asan_finds_the_use_of_a_dead_fibers_stack),
		cmocka_unit_test(lsan_finds_a_leak_in_a_fiber),
		cmocka_unit_test(lsan_sees_what_parked_fibers_hold),
		cmocka_unit_test(lsan_does_not_see_what_dead_fibers_held),
		cmocka_unit_test(dropped_fibers_leave_nothing_of_the_tools),
#else
		cmocka_unit_test(tsan_finds_a_race_between_cores),
		cmocka_unit_test(tsan_finds_none_between_fibers_of_a_core),
#endif
		cmocka_unit_test(many_fibers_one_after_the_other),
	};

	return run_program(argc, argv, "reports", tests, array_size(tests));
}
