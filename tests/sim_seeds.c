// SPDX-License-Identifier: MIT
/*
 * pirn sim finds each planted bug of tests/sim within 1,000 seeds, replays it,
 * and lets the same program done right pass.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "helpers.h"

static char said[64 * KiB];

/* What was built beside this program: "../pirn", "sim/order". */
static const char *beside(const char *name)
{
	static char path[4][PATH_MAX + 64];
	static unsigned int turn;
	char *self = path[turn++ % 4];
	ssize_t n = must(readlink("/proc/self/exe", self, PATH_MAX));

	self[n] = '\0';
	dirname(self);
	strcat(self, "/");
	strcat(self, name);
	return self;
}

/* Runs a command of a shell; its exit status, and what it printed in said[]. */
static int run(const char *format, ...)
{
	char command[3 * PATH_MAX];
	va_list args;
	FILE *pipe;
	size_t n;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	pipe = popen(command, "re");
	check(pipe);
	n = fread(said, 1, sizeof(said) - 1, pipe);
	said[n] = '\0';
	n = (size_t)pclose(pipe);
	if (!WIFEXITED((int)n))
		check_failed(__FILE__, __LINE__, "%s: ended by a signal", command);
	return WEXITSTATUS((int)n);
}

static int sim(const char *options, const char *program)
{
	const char *pirn = beside("../pirn");

	return run("%s sim %s %s%s 2>&1", pirn, options, beside("sim/"), program);
}

#define check_said(what)						\
	do {								\
		if (!strstr(said, what))				\
			check_failed(__FILE__, __LINE__,		\
				     "'%s' was not said, but: %s", what, \
				     said);				\
	} while (0)

/* A process is slow to start under a sanitizer; the good ones get fewer. */
static unsigned int seeds(void)
{
	return UNDER_TSAN || UNDER_ASAN ? 40 : 1000;
}

static void found(const char *name, const char *faults, const char *needed)
{
	char options[256], program[64];

	snprintf(options, sizeof(options), "--seeds 1000 --faults '%s'", faults);
	snprintf(program, sizeof(program), "%s bad", name);
	check_eq(sim(options, program), 1);
	check_said(" failed: exit status 1");
	check_said("replayed: the same failure, hash ");
	check_said("replay: PIRN_SIM=");
	check_said(needed);
}

static void passes(const char *name, const char *faults)
{
	char options[256], program[64];

	snprintf(options, sizeof(options), "--seeds %u --faults '%s'", seeds(),
		 faults);
	snprintf(program, sizeof(program), "%s good", name);
	if (sim(options, program))
		check_failed(__FILE__, __LINE__, "%s: %s", program, said);
	check_said("seeds passed, from 1 to ");
}

TEST(order_of_two_writes)
{
	found("order", "", "faults needed: none");
	passes("order", "");
}

TEST(a_lost_wakeup)
{
	found("wakeup", "", "faults needed: none");
	passes("wakeup", "");
}

TEST(a_buffer_changed_in_flight)
{
	found("inflight", "", "faults needed: none");
	passes("inflight", "");
}

/* What it does not need is left out, and of the rest it needs one. */
TEST(a_missing_sync)
{
	found("fsync", "torn+lost+slow+names", "faults needed: lost:1000000:1\n");
	passes("fsync", "torn+lost+slow+names");
}

TEST(a_torn_page_without_checksum)
{
	found("torn", "torn+names+lost+stuck", "faults needed: torn:500000:1\n");
	passes("torn", "torn+names+lost+stuck");
}

/* The line it prints fails, as it said, with the hash it said. */
TEST(the_replay_line_replays)
{
	const char *path = "log-again";
	char *line, *end, again[1024];
	char report[600], hash[17] = "";

	must(chdir(getenv("PIRN_TEST_DIR")));
	check_eq(sim("--seeds 1000 --faults lost", "fsync bad"), 1);
	line = strstr(said, "hash ");
	check(line);
	snprintf(hash, sizeof(hash), "%.16s", line + 5);
	line = strstr(said, "replay: PIRN_SIM=");
	check(line);
	end = strchr(line, '\n');
	check(end);
	*end = '\0';
	snprintf(report, sizeof(report), "%s", line + strlen("replay: PIRN_SIM="));
	end = strchr(report, ' ');
	check(end);
	*end = '\0';
	snprintf(again, sizeof(again), "PIRN_SIM='%s,log=%s' %s 2>&1", report, path,
		 end + 1);
	check_eq(run("%s", again), 1);
	check_said("is lost");
	check_eq(run("grep -c 'fault: lost' %s", path), 0);
	check_eq(atoi(said), 1);
}

static unsigned long failing_seed(void)
{
	unsigned long seed;
	char *at = strstr(said, "seed ");

	/* in a pipe progress comes before, a line now and then */
	while (at && sscanf(at, "seed %lu failed", &seed) != 1)
		at = strstr(at + 1, "seed ");
	check(at);
	return seed;
}

/* The lowest seed is told, however many run at the same time. */
TEST(the_first_failing_seed_is_the_lowest)
{
	unsigned long one, many;

	check_eq(sim("--seeds 1000 --jobs 1", "inflight bad"), 1);
	one = failing_seed();
	check_eq(sim("--seeds 1000 --jobs 7", "inflight bad"), 1);
	many = failing_seed();
	check_eq(one, many);
	check_eq(sim("--seeds 1000 --jobs 2 --first 5000", "inflight bad"), 1);
	many = failing_seed();
	check_op(many, >=, 5000);
}

TEST(a_log_goes_to_its_file)
{
	const char *path = new_path("log");
	char options[300];

	snprintf(options, sizeof(options), "--seeds 1000 --log %s", path);
	check_eq(sim(options, "order bad"), 1);
	check_said(path);
	check_eq(run("grep -c 'node 0 core 0: submit write' %s", path), 0);
	check_op(atoi(said), >=, 2);
}

TEST(what_the_seed_does_not_decide_is_told)
{
	check_eq(sim("--seeds 1", "clock"), 1);
	check_said("NOT REPLAYED");
}

TEST(a_signal_and_a_hang_are_failures)
{
	check_eq(sim("--seeds 3", "ends signal"), 1);
	check_said("seed 1 failed: signal 6");
	check_said("replayed: the same failure");
	check_eq(sim("--seeds 3 --timeout 1", "ends hang"), 1);
	check_said("failed: killed after 1 s");
	check_eq(sim("--seeds 3", "ends well"), 0);
}

TEST(mistakes_are_told_in_a_line)
{
	check_eq(run("%s sim 2>&1", beside("../pirn")), 2);
	check_said("needs a program");
	check_eq(sim("--seeds 0", "ends well"), 2);
	check_said("--seeds is a number from 1");
	check_eq(sim("--faults none_such", "ends well"), 2);
	check_said("'none_such' is no fault");
	check_eq(sim("--faults torn:2000000", "ends well"), 2);
	check_eq(sim("--faults torn:1:x", "ends well"), 2);
	check_eq(sim("", "no_such_program"), 1);
	check_said("No such file");
	check_eq(run("PIRN_SIM=speed=7 %s sim true 2>&1", beside("../pirn")), 2);
	check_said("'speed=7' is no option");
	check_eq(run("%s sim --seeds 2 true 2>&1", beside("../pirn")), 1);
	check_said("made no simulated world");
}

/* What the environment held stays. */
TEST(settings_of_the_environment_stay)
{
	const char *pirn = beside("../pirn");

	must(setenv("PIRN_SIM", "cores=3", 1));
	check_eq(run("%s sim --seeds 1 %s cores 3 2>&1", pirn, beside("sim/ends")), 0);
	check_eq(run("%s sim --seeds 1 %s cores 2 2>&1", pirn, beside("sim/ends")), 1);
	check_said("replay: PIRN_SIM=cores=3,seed=1 ");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_two_writes),
		cmocka_unit_test(a_lost_wakeup),
		cmocka_unit_test(a_buffer_changed_in_flight),
		cmocka_unit_test(a_missing_sync),
		cmocka_unit_test(a_torn_page_without_checksum),
		cmocka_unit_test(the_replay_line_replays),
		cmocka_unit_test(the_first_failing_seed_is_the_lowest),
		cmocka_unit_test(a_log_goes_to_its_file),
		cmocka_unit_test(what_the_seed_does_not_decide_is_told),
		cmocka_unit_test(a_signal_and_a_hang_are_failures),
		cmocka_unit_test(mistakes_are_told_in_a_line),
		cmocka_unit_test(settings_of_the_environment_stay),
	};

	return run_program(argc, argv, "sim_seeds", tests, array_size(tests));
}
