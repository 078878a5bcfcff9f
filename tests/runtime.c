// SPDX-License-Identifier: MIT
/* Starting and ending runtimes: options, CPU lists, messages, leaks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "helpers.h"

static int nothing(void *arg)
{
	(void)arg;
	return 11;
}

static int not_reached(void *arg)
{
	(void)arg;
	check_failed(__FILE__, __LINE__, "ran in spite of a bad option");
}

/* ---------------------------------------------------------------- options */

static void refused(struct pirn_options opt, const char *what)
{
	char message[200];
	int err;

	memset(message, 'x', sizeof(message));
	opt.backend = wanted_backend();
	opt.message = message;
	opt.message_bytes = sizeof(message);
	err = pirn_run(&opt, not_reached, NULL, NULL);
	if (err != -EINVAL)
		check_failed(__FILE__, __LINE__, "%s: %d, not -EINVAL", what, err);
	/* one line that says why */
	check(memchr(message, 0, sizeof(message)));
	check_op(strlen(message), >, 5);
	check_eq(strcspn(message, "\n"), strlen(message));
}

static void accepted(struct pirn_options opt)
{
	check_eq(run_on(&opt, nothing, NULL), 11);
}

#define REFUSED(field, value)                                                 \
	do {                                                                  \
		struct pirn_options opt_ = PIRN_OPTIONS_INIT;                 \
		opt_.field = value;                                           \
		refused(opt_, #field " = " #value);                           \
	} while (0)
#define ACCEPTED(field, value)                                                \
	do {                                                                  \
		struct pirn_options opt_ = PIRN_OPTIONS_INIT;                 \
		opt_.field = value;                                           \
		accepted(opt_);                                               \
	} while (0)

TEST(each_option_has_its_range)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	REFUSED(io_depth, 1);
	REFUSED(io_depth, 4097);
	REFUSED(io_depth, UINT32_MAX);
	REFUSED(io_batch, 257);		/* more than the default depth */
	REFUSED(io_batch, UINT32_MAX);
	REFUSED(call_depth, 1025);
	REFUSED(call_depth, UINT32_MAX);
	REFUSED(max_fibers, (1u << 24) + 1);
	REFUSED(stack_bytes, 1);
	REFUSED(stack_bytes, 16 * KiB - 1);
	REFUSED(stack_bytes, 64 * MiB + 1);
	REFUSED(stack_bytes, SIZE_MAX);
	REFUSED(pool_bytes, 1);
	REFUSED(pool_bytes, MiB - 1);
	REFUSED(pool_bytes, (1ull << 40) + 1);
	REFUSED(pool_bytes, SIZE_MAX);

	ACCEPTED(io_depth, 2);
	ACCEPTED(io_depth, 4096);
	ACCEPTED(io_batch, 1);
	ACCEPTED(io_batch, 256);
	ACCEPTED(call_depth, 1);
	ACCEPTED(call_depth, 1024);
	ACCEPTED(max_fibers, 1);
	ACCEPTED(max_fibers, 1u << 24);
	ACCEPTED(stack_bytes, 16 * KiB);
	ACCEPTED(stack_bytes, 64 * MiB);
	ACCEPTED(pool_bytes, MiB);
	ACCEPTED(spin_ns, 1);
	ACCEPTED(spin_ns, PIRN_NO_SPIN);

	opt.io_depth = 8;
	opt.io_batch = 9;
	refused(opt, "io_batch above io_depth");
	opt.io_batch = 8;
	accepted(opt);
}

TEST(a_small_depth_has_a_batch_that_fits)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	/* less than the default batch, which was not asked for */
	opt.io_depth = 2;
	accepted(opt);
}

TEST(a_backend_that_is_none_is_refused)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.backend = PIRN_BACKEND_LAST;
	check_eq(pirn_run(&opt, not_reached, NULL, NULL), -EINVAL);
	opt.backend = (enum pirn_backend)1000;
	check_eq(pirn_run(&opt, not_reached, NULL, NULL), -EINVAL);
}

TEST(size_tells_what_the_struct_holds)
{
	struct {
		struct pirn_options opt;
		uint64_t newer[4];
	} longer = { .opt = PIRN_OPTIONS_INIT };
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	size_t size;

	for (size = 0; size < 8; size++) {
		opt.size = size;
		check_eq(pirn_run(&opt, not_reached, NULL, NULL), -EINVAL);
	}
	longer.opt.size = sizeof(longer);
	longer.opt.backend = wanted_backend();
	/* accepted: where io_uring is blocked, it fails for that, later */
	check_eq(pirn_run(&longer.opt, nothing, NULL, NULL),
		 pirn_backend_probe(wanted_backend(), NULL, 0) ? -ENODEV : 0);
	longer.newer[3] = 1;
	check_eq(pirn_run(&longer.opt, not_reached, NULL, NULL), -EINVAL);
	longer.newer[3] = 0;
	((char *)longer.newer)[0] = 1;
	check_eq(pirn_run(&longer.opt, not_reached, NULL, NULL), -EINVAL);
}

TEST(message_fits_whatever_its_room)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[64];
	size_t room;

	opt.io_depth = 1;
	for (room = 0; room < 20; room++) {
		memset(message, 'x', sizeof(message));
		opt.message = message;
		opt.message_bytes = room;
		check_eq(pirn_run(&opt, not_reached, NULL, NULL), -EINVAL);
		if (room)
			check(memchr(message, 0, room));
		check_eq(message[room], 'x');
	}
}

/* ------------------------------------------------------------------- CPUs */

TEST(bad_cpu_lists_are_refused)
{
	const char *bad[] = { "", "a", "0-", "-0", "0,", ",0", "0,,0", "9999",
			      "0-9999", "0x0", "0 ", " 0", "1-0",
			      "99999999999999999999", "4294967296", "0;1", "-1",
			      "18446744073709551616" };
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	size_t i;

	for (i = 0; i < array_size(bad); i++) {
		/* its CPUs need not exist */
		if (simulated() && (!strcmp(bad[i], "9999") ||
				    !strcmp(bad[i], "0-9999")))
			continue;
		opt.cpus = bad[i];
		refused(opt, bad[i]);
	}
}

struct cpu_list {
	unsigned int n;
	int cpu[CPU_SETSIZE];
};

static int runs_there(void *arg)
{
	check_eq(sched_getcpu(), *(int *)arg);
	return 0;
}

static int check_cpus(void *arg)
{
	struct cpu_list *list = arg;
	unsigned int i;

	check_eq(pirn_core_count(), list->n);
	for (i = 0; i < list->n; i++) {
		check_eq(pirn_core_cpu(i), list->cpu[i]);
		check_eq(pirn_call(i, runs_there, &list->cpu[i], NULL), 0);
	}
	return 0;
}

static void may_run_on(struct cpu_list *list)
{
	cpu_set_t set;
	int cpu;

	must(sched_getaffinity(0, sizeof(set), &set));
	list->n = 0;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set))
			list->cpu[list->n++] = cpu;
	}
}

TEST(cores_are_where_the_list_says)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	struct cpu_list all, one, back = { 0 };
	char text[8 * CPU_SETSIZE] = "", *end = text;
	unsigned int i;

	not_simulated("its cores are on no CPU");
	may_run_on(&all);
	run_on(NULL, check_cpus, &all);

	opt.cpus = text;
	snprintf(text, sizeof(text), "%d", all.cpu[all.n - 1]);
	one = (struct cpu_list){ 1, { all.cpu[all.n - 1] } };
	run_on(&opt, check_cpus, &one);

	snprintf(text, sizeof(text), "%d-%d", all.cpu[0], all.cpu[0]);
	one.cpu[0] = all.cpu[0];
	run_on(&opt, check_cpus, &one);

	/* two cores of one CPU take turns */
	snprintf(text, sizeof(text), "%d,%d", all.cpu[0], all.cpu[0]);
	one = (struct cpu_list){ 2, { all.cpu[0], all.cpu[0] } };
	run_on(&opt, check_cpus, &one);

	/* core N is the N-th CPU named, also backwards */
	for (i = all.n; i-- > 0;) {
		back.cpu[back.n++] = all.cpu[i];
		end += sprintf(end, "%s%d", end == text ? "" : ",", all.cpu[i]);
	}
	run_on(&opt, check_cpus, &back);
}

TEST(the_calling_thread_keeps_its_cpus)
{
	struct cpu_list before, after;

	may_run_on(&before);
	run_on(NULL, nothing, NULL);
	may_run_on(&after);
	check_eq(after.n, before.n);
}

/* --------------------------------------------------------------- backends */

TEST(backends_have_names)
{
	check(strcmp(pirn_backend_name(PIRN_BACKEND_AUTO), "auto") == 0);
	check(strcmp(pirn_backend_name(PIRN_BACKEND_KMOD), "kmod") == 0);
	check(strcmp(pirn_backend_name(PIRN_BACKEND_URING), "uring") == 0);
	check(strcmp(pirn_backend_name(PIRN_BACKEND_SIM), "sim") == 0);
	check(!pirn_backend_name(PIRN_BACKEND_LAST));
	check(!pirn_backend_name((enum pirn_backend)-1));
	check(!pirn_backend_name((enum pirn_backend)1000));
}

static int say_backend(void *arg)
{
	(void)arg;
	return pirn_backend_current();
}

/* A probe and a start must tell the same; a reason comes with a refusal. */
TEST(a_probe_says_what_a_start_would)
{
	enum pirn_backend backend;
	char reason[200], message[200];
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	int probe, err, result;

	opt.message = message;
	opt.message_bytes = sizeof(message);
	for (backend = PIRN_BACKEND_KMOD; backend < PIRN_BACKEND_LAST; backend++) {
		reason[0] = 0;
		probe = pirn_backend_probe(backend, reason, sizeof(reason));
		opt.backend = backend;
		err = pirn_run(&opt, say_backend, NULL, &result);
		if (probe) {
			check_op(probe, <, 0);
			check_op(strlen(reason), >, 5);
			check_eq(err, -ENODEV);
			check_op(strlen(message), >, 5);
		} else {
			check_eq(err, 0);
			check_eq(result, backend);
			check(strstr(message, pirn_backend_name(backend)));
		}
	}
	check_op(pirn_backend_probe(PIRN_BACKEND_LAST, reason, sizeof(reason)), <, 0);
	check_op(pirn_backend_probe((enum pirn_backend)1000, NULL, 0), <, 0);
}

TEST(auto_takes_the_first_that_works)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char reason[200], message[200] = "";
	int result = -1, best = PIRN_BACKEND_KMOD;

	/* sim only when PIRN_SIM is set: tests/sim_env.c */
	must(unsetenv("PIRN_SIM"));
	while (best < PIRN_BACKEND_SIM &&
	       pirn_backend_probe((enum pirn_backend)best, reason, sizeof(reason)))
		best++;
	if (best == PIRN_BACKEND_SIM) {
		check_eq(pirn_run(NULL, say_backend, NULL, &result), -ENODEV);
		return;
	}
	check_eq(pirn_run(NULL, say_backend, NULL, &result), 0);
	check_eq(result, best);
	check_eq(pirn_run(NULL, say_backend, NULL, NULL), 0);
	opt.message = message;
	opt.message_bytes = sizeof(message);
	check_eq(pirn_run(&opt, say_backend, NULL, &result), 0);
	check_eq(result, best);
	check(strstr(message, pirn_backend_name((enum pirn_backend)best)));
	/* "and why not a better one" */
	if (best != PIRN_BACKEND_KMOD)
		check(strstr(message, "kmod"));
}

/* ------------------------------------------------------- several, many, end */

static int busy_life(void *arg)
{
	struct pirn_file *file;
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	unsigned int i, cores = (unsigned int)pirn_core_count();
	int result;
	char *buf = pirn_buf_alloc(64 * KiB);

	check(buf);
	check_eq(pirn_open(&file, test_target()->path, O_RDWR, 0), 0);
	for (i = 0; i < scaled(200, 50); i++) {
		fill(buf, 64 * KiB, i, seed);
		check_eq(pirn_pwrite(file, buf, 64 * KiB, seed * MiB, 0), 64 * KiB);
		memset(buf, 0, 64 * KiB);
		check_eq(pirn_pread(file, buf, 64 * KiB, seed * MiB), 64 * KiB);
		check_filled(buf, 64 * KiB, i, seed);
		check_eq(pirn_call(i % cores, nothing, NULL, &result), 0);
		check_eq(result, 11);
		if (i % 16 == 0)
			check_eq(pirn_sleep(10000), 0);
	}
	check_eq(pirn_close(file), 0);
	check_eq(pirn_buf_free(buf), 0);
	return (int)seed;
}

static void *runtime_thread(void *arg)
{
	check_eq(run_on(NULL, busy_life, arg), (intptr_t)arg);
	return NULL;
}

TEST(two_runtimes_at_the_same_time)
{
	pthread_t thread[2];
	intptr_t i;

	/* not first asked for by both at once */
	test_target();
	run_on(NULL, nothing, NULL);
	for (i = 0; i < 2; i++)
		check_eq(pthread_create(&thread[i], NULL, runtime_thread,
					(void *)(i + 1)), 0);
	for (i = 0; i < 2; i++)
		check_eq(pthread_join(thread[i], NULL), 0);
}

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	check(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned int mappings(unsigned long *kib)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	unsigned int n = 0;
	char line[512];

	check(maps);
	*kib = 0;
	while (fgets(line, sizeof(line), maps)) {
		check_eq(sscanf(line, "%lx-%lx", &from, &to), 2);
		*kib += (to - from) / KiB;
		n++;
	}
	fclose(maps);
	return n;
}

TEST(fifty_lives_leak_no_descriptor_and_no_mapping)
{
	unsigned int i, fds = 0, maps = 0;
	unsigned long kib = 0, kib_after;

	for (i = 0; i < 50; i++) {
		run_on(NULL, busy_life, (void *)1);
		/* what is made once, or kept for later threads, is there now */
		if (i == 9) {
			fds = open_fds();
			maps = mappings(&kib);
		}
	}
	check_eq(open_fds(), fds);
	/* allocators and sanitizers move a little; 40 leaks are more */
	check_op(mappings(&kib_after), <, maps + 20);
	if (!UNDER_ASAN && !UNDER_TSAN)
		check_op(kib_after, <, kib + 40 * 64);
}

static atomic_uint ran_on;

static int never_ends(void *arg)
{
	int how = *(int *)arg;

	while (how == 0)
		check_eq(pirn_yield(), 0);
	while (how == 1)
		check_eq(pirn_sleep(1000), 0);
	while (how == 2)
		check_eq(pirn_park(), 0);
	while (how == 3)
		check_eq(pirn_call(1, nothing, NULL, NULL), 0);
	if (how == 4)
		check_eq(pirn_call(1, never_ends, &(int){ 1 }, NULL), 0);
	atomic_fetch_add(&ran_on, 1);
	return 0;
}

/* In the way of being dropped: reads in flight into memory about to go. */
static int reads_for_ever(void *arg)
{
	char *buf = pirn_buf_alloc(64 * KiB);

	check(buf);
	for (;;)
		check_eq(pirn_pread(arg, buf, 64 * KiB, 0), 64 * KiB);
}

static int leave(void *arg)
{
	static int how[5] = { 0, 1, 2, 3, 4 };
	struct pirn_file *file;
	int i, j;

	(void)arg;
	check_eq(pirn_open(&file, test_target()->path, O_RDONLY, 0), 0);
	for (i = 0; i < 5; i++) {
		for (j = 0; j < 10; j++)
			check_eq(pirn_spawn(NULL, never_ends, &how[i]), 0);
	}
	for (i = 0; i < 20; i++)
		check_eq(pirn_spawn(NULL, reads_for_ever, file), 0);
	check_eq(pirn_sleep(2000000), 0);
	return 12;
}

TEST(fibers_left_at_the_end_are_dropped)
{
	int i;

	for (i = 0; i < 20; i++)
		check_eq(run_on_cores(NULL, leave, NULL), 12);
	check_eq(atomic_load(&ran_on), 0);
}

static int leave_open(void *arg)
{
	struct pirn_file *file;

	(void)arg;
	check_eq(pirn_open(&file, test_target()->path, O_RDONLY, 0), 0);
	return 0;
}

/* Nobody else could: pirn_close() wants a fiber of the runtime that has gone. */
TEST(files_left_open_at_the_end_are_closed)
{
	unsigned int fds;

	run_on(NULL, leave_open, NULL);
	fds = open_fds();
	run_on(NULL, leave_open, NULL);
	run_on(NULL, leave_open, NULL);
	check_eq(open_fds(), fds);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_has_its_range),
		cmocka_unit_test(a_small_depth_has_a_batch_that_fits),
		cmocka_unit_test(a_backend_that_is_none_is_refused),
		cmocka_unit_test(size_tells_what_the_struct_holds),
		cmocka_unit_test(message_fits_whatever_its_room),
		cmocka_unit_test(bad_cpu_lists_are_refused),
		cmocka_unit_test(cores_are_where_the_list_says),
		cmocka_unit_test(the_calling_thread_keeps_its_cpus),
		cmocka_unit_test(backends_have_names),
		cmocka_unit_test(a_probe_says_what_a_start_would),
		cmocka_unit_test(auto_takes_the_first_that_works),
		cmocka_unit_test(two_runtimes_at_the_same_time),
		cmocka_unit_test(fifty_lives_leak_no_descriptor_and_no_mapping),
		cmocka_unit_test(fibers_left_at_the_end_are_dropped),
		cmocka_unit_test(files_left_open_at_the_end_are_closed),
	};

	return run_program(argc, argv, "runtime", tests, array_size(tests));
}
