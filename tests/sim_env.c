// SPDX-License-Identifier: MIT
/* A plain pirn_run() in a simulated world: PIRN_SIM in the environment. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_helpers.h"

static int which(void *arg)
{
	(void)arg;
	check_op(pirn_core_count(), ==, 3);
	return pirn_backend_current();
}

static int current(void *arg)
{
	(void)arg;
	return pirn_backend_current();
}

TEST(auto_is_sim_when_the_environment_says_so)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256];
	int result = -1;

	must(setenv("PIRN_SIM", "cores=3", 1));
	check_eq(pirn_run(NULL, which, NULL, &result), 0);
	check_eq(result, PIRN_BACKEND_SIM);
	opt.message = message;
	opt.message_bytes = sizeof(message);
	check_eq(pirn_run(&opt, which, NULL, &result), 0);
	check(strstr(message, "PIRN_SIM"));
	check_eq(pirn_backend_probe(PIRN_BACKEND_AUTO, message, sizeof(message)), 0);
	check(strstr(message, "backend sim"));
	/* what names another one gets it */
	opt.backend = PIRN_BACKEND_URING;
	opt.cpus = "0";
	if (!pirn_backend_probe(PIRN_BACKEND_URING, NULL, 0)) {
		check_eq(pirn_backend_probe(PIRN_BACKEND_SIM, NULL, 0), 0);
		opt.message = NULL;
		check_eq(pirn_run(&opt, current, NULL, &result), 0);
		check_eq(result, PIRN_BACKEND_URING);
	}
}

TEST(sim_works_without_the_environment)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	int result = -1;

	must(unsetenv("PIRN_SIM"));
	check_eq(pirn_backend_probe(PIRN_BACKEND_SIM, NULL, 0), 0);
	opt.backend = PIRN_BACKEND_SIM;
	check_eq(pirn_run(&opt, current, NULL, &result), 0);
	check_eq(result, PIRN_BACKEND_SIM);
}

TEST(a_bad_environment_is_told)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256] = "";

	must(setenv("PIRN_SIM", "seed=banana", 1));
	opt.message = message;
	opt.message_bytes = sizeof(message);
	check_eq(pirn_run(&opt, current, NULL, NULL), -ENODEV);
	check(strstr(message, "banana"));
	opt.backend = PIRN_BACKEND_SIM;
	check_eq(pirn_run(&opt, current, NULL, NULL), -ENODEV);
	check(strstr(message, "banana"));
	/* a log that cannot be written */
	must(setenv("PIRN_SIM", "log=/no/such/directory/log", 1));
	check_op(pirn_run(&opt, current, NULL, NULL), <, 0);
	check(strstr(message, "/no/such/directory/log"));
}

static int write_word(void *arg)
{
	struct pirn_file *file = file_at("kept");
	char *buf = pirn_buf_alloc(512);

	memset(buf, *(int *)arg, 512);
	check_eq(pirn_pwrite(file, buf, 512, 0, 0), 512);
	return (int)(pirn_now() / MS);
}

static int read_word(void *arg)
{
	struct pirn_file *file = file_at("kept");
	char *buf = pirn_buf_alloc(512);

	(void)arg;
	if (pirn_pread(file, buf, 512, 0) != 512)
		return 0;
	return buf[0];
}

/* As on a machine: disks and time go on from one run to the next. */
TEST(runs_of_a_process_share_a_world)
{
	int word = 'w', result = 0;

	must(setenv("PIRN_SIM", "seed=1", 1));
	check_eq(pirn_run(NULL, write_word, &word, &result), 0);
	check_eq(pirn_run(NULL, read_word, NULL, &result), 0);
	check_eq(result, 'w');
}

static int slow_word(void *arg)
{
	unsigned int i;

	for (i = 0; i < 50; i++)
		write_word(arg);
	return read_word(arg);
}

static void *run_thread(void *arg)
{
	int result = 0;

	check_eq(pirn_run(NULL, slow_word, arg, &result), 0);
	check_eq(result, *(int *)arg);
	return NULL;
}

TEST(runs_at_the_same_time_have_a_world_each)
{
	int word[4] = { 'a', 'b', 'c', 'd' };
	pthread_t thread[4];
	unsigned int i;

	must(setenv("PIRN_SIM", "seed=1", 1));
	for (i = 0; i < 4; i++)
		check_eq(pthread_create(&thread[i], NULL, run_thread, &word[i]),
			 0);
	for (i = 0; i < 4; i++)
		check_eq(pthread_join(thread[i], NULL), 0);
}

static int host_size(void *arg)
{
	struct pirn_file *file;

	check_eq(pirn_open(&file, arg, O_RDONLY, 0), 0);
	return (int)pirn_size(file);
}

TEST(files_of_the_host_are_there)
{
	int result;

	must(setenv("PIRN_SIM", "seed=1", 1));
	check_eq(pirn_run(NULL, host_size, (void *)(uintptr_t)test_target()->path,
			  &result), 0);
	check_eq(result, test_target()->bytes);
}

static char *read_all(const char *path)
{
	static char text[64 * KiB];
	FILE *file = fopen(path, "re");

	check(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

TEST(the_log_tells_what_happened)
{
	const char *path = "log-told";
	char setting[300];
	int word = 'w', result;
	char *text;

	into_test_dir();
	snprintf(setting, sizeof(setting), "seed=1,log=%s,faults=slow:1000000:1",
		 path);
	must(setenv("PIRN_SIM", setting, 1));
	check_eq(pirn_run(NULL, write_word, &word, &result), 0);
	text = read_all(path);
	check(strstr(text, "seed 1\n"));
	check(strstr(text, "node 0: start: 4 cores\n"));
	check(strstr(text, "node 0 core 0: open kept: file 1\n"));
	check(strstr(text, "node 0 core 0: submit write: file 1 0+512\n"));
	check(strstr(text, "node 0: fault: slow\n"));
	check(strstr(text, "node 0 core 0: capture write: file 1 0+512\n"));
	check(strstr(text, "node 0 core 0: complete write: file 1 0+512\n"));
	check(strstr(text, "node 0: end: result "));
}

static uint64_t hash_of(const char *setting)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	int word = 'w';
	uint64_t hash;

	check_eq(pirn_sim_options_parse(&opt, setting, NULL, 0), 0);
	live_in(&opt, write_word, &word, &hash);
	return hash;
}

TEST(a_log_changes_nothing)
{
	const char *path = "log-nothing";
	char setting[300];

	into_test_dir();
	snprintf(setting, sizeof(setting), "seed=1,log=%s", path);
	check_eq(hash_of("seed=1"), hash_of(setting));
	check_op(hash_of("seed=1"), !=, hash_of("seed=2"));
	check(strstr(read_all(path), "hash "));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_is_sim_when_the_environment_says_so),
		cmocka_unit_test(sim_works_without_the_environment),
		cmocka_unit_test(a_bad_environment_is_told),
		cmocka_unit_test(runs_of_a_process_share_a_world),
		cmocka_unit_test(runs_at_the_same_time_have_a_world_each),
		cmocka_unit_test(files_of_the_host_are_there),
		cmocka_unit_test(the_log_tells_what_happened),
		cmocka_unit_test(a_log_changes_nothing),
	};

	return run_program(argc, argv, "sim_env", tests, array_size(tests));
}
