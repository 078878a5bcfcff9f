// SPDX-License-Identifier: MIT
/*
 * /sys/class/misc/pirn/cpuN/: each file holds one value, and the values add up
 * to what was done. Other users of the module would disturb; there are none in
 * the machine this runs in.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "device.h"

static const char *const names[] = {
	"submitted", "completed", "failed", "bytes_read", "bytes_written",
	"in_flight", "enters", "wakeups", "remote_completions", "worker_punts",
	"slow_submits", "joins", "preemptions", "run_delay_ns",
};

struct counters {
	unsigned long long submitted, completed, failed, bytes_read, bytes_written,
		in_flight, enters, wakeups, remote_completions, worker_punts,
		slow_submits, joins, preemptions, run_delay_ns;
};

_Static_assert(sizeof(struct counters) == sizeof(names) / sizeof(names[0]) * 8,
	       "one field a file");

/* Read; or, when @from is given, what has been added since. */
static struct counters counters(unsigned int cpu, const struct counters *from)
{
	struct counters now;
	size_t i;

	for (i = 0; i < array_size(names); i++)
		((unsigned long long *)&now)[i] =
			cpu_counter(cpu, names[i]) -
			(from ? ((const unsigned long long *)from)[i] : 0);
	return now;
}

static void run_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
}

TEST(each_possible_cpu_has_the_same_files)
{
	long cpu, cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct dirent *entry;
	unsigned int files;
	char path[64];
	size_t i;
	DIR *dir;

	for (cpu = 0; cpu < cpus; cpu++) {
		snprintf(path, sizeof(path), "/sys/class/misc/pirn/cpu%ld", cpu);
		dir = opendir(path);
		check(dir);
		for (files = 0; (entry = readdir(dir)); files++)
			;
		closedir(dir);
		/* with . and .. */
		check_eq(files, array_size(names) + 2);
		for (i = 0; i < array_size(names); i++) {
			/* read_number() takes one value and nothing else */
			cpu_counter((unsigned int)cpu, names[i]);
			snprintf(path, sizeof(path),
				 "/sys/class/misc/pirn/cpu%ld/%s", cpu, names[i]);
			check_eq(access(path, R_OK), 0);
			struct stat st;

			must(stat(path, &st));
			check_eq(st.st_mode & 0777, 0444);
		}
	}
}

TEST(counters_add_up_and_outlive_the_channel)
{
	struct counters before = counters(1, NULL), others = counters(2, NULL), d;
	struct pirn_sqe sqe;
	struct rig rig;
	int i;

	channel_open_on(&rig.ch, 16, 16, 1);
	pool_open(&rig.pool, 64 * KiB);
	must(attach_pool_fd(&rig.ch, rig.pool.fd));
	attach_disk(&rig.ch, FAST_DISK, O_RDWR);

	for (i = 0; i < 10; i++)
		check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 8192), 8192);
	for (i = 0; i < 7; i++)
		check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 4096), 4096);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 4095), -EINVAL);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 1 * MiB, 4096), -EFAULT);
	check_eq(rig_io(&rig, PIRN_OP_READ, 1ull << 60, 0, 4096), 0);
	check_eq(rig_io(&rig, PIRN_OP_FSYNC, 0, 0, 0), 0);
	sqe = (struct pirn_sqe){ 0 };
	check_eq(do_sqe(&rig.ch, &sqe), 0);

	d = counters(1, &before);
	check_eq(d.submitted, 22);
	check_eq(d.completed, 22);
	check_eq(d.failed, 2);
	check_eq(d.bytes_written, 10 * 8192);
	check_eq(d.bytes_read, 7 * 4096);
	check_eq(d.in_flight, 0);
	/* once to submit and, sometimes, again to wait */
	check_op(d.enters, >=, 22);
	check_op(d.enters, <=, 200);
	check_eq(d.worker_punts, 0);
	channel_close(&rig.ch);
	pool_close(&rig.pool);
	d = counters(1, &before);
	check_eq(d.submitted, 22);
	check_eq(d.completed, 22);
	check_eq(d.bytes_written, 10 * 8192);
	check_eq(d.in_flight, 0);
	/* what was done on one CPU is not counted on another */
	d = counters(2, &others);
	check_eq(d.submitted + d.completed + d.enters + d.bytes_read, 0);
}

TEST(enters_are_counted_one_by_one)
{
	struct counters before, d;
	struct channel ch;
	int i;

	channel_open_on(&ch, 4, 4, 3);
	before = counters(3, NULL);
	for (i = 0; i < 13; i++)
		check_eq(enter(&ch, 0), 0);
	must_fail(enter(&ch, 5), EINVAL);
	d = counters(3, &before);
	check_eq(d.enters, 13);
	check_eq(d.submitted, 0);
	channel_close(&ch);
}

TEST(in_flight_and_wakeups)
{
	struct counters before, d;
	struct rig rig;
	char path[32];
	int i;

	slow_disk(1, 300000000, path);
	channel_open_on(&rig.ch, 8, 8, 2);
	pool_open(&rig.pool, 64 * KiB);
	must(attach_pool_fd(&rig.ch, rig.pool.fd));
	attach_disk(&rig.ch, path, O_RDWR);
	before = counters(2, NULL);
	check_eq(before.in_flight, 0);
	for (i = 0; i < 5; i++)
		*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter(&rig.ch, 5), 5);
	d = counters(2, &before);
	check_eq(d.submitted, 5);
	check_eq(d.in_flight + d.completed, 5);
	check_op(d.in_flight, >, 0);
	check_eq(d.wakeups, 0);
	check_eq(enter(&rig.ch, PIRN_ENTER_WAIT), 0);
	d = counters(2, &before);
	check_eq(d.wakeups, 1);
	await_cqes(&rig.ch, 5);
	d = counters(2, &before);
	check_eq(d.completed, 5);
	check_eq(d.in_flight, 0);
	/* one NOTIFY that nobody waits for wakes nobody */
	must(ioctl(rig.ch.fd, PIRN_IOC_NOTIFY, 0));
	check_eq(counters(2, &before).wakeups, d.wakeups);
	rig_close(&rig);
}

/* The completion runs where the request was made: here, or not. */
TEST(completions_elsewhere_are_remote)
{
	struct counters before;
	struct rig rig;
	int i;

	channel_open_on(&rig.ch, 4, 4, 1);
	pool_open(&rig.pool, 64 * KiB);
	must(attach_pool_fd(&rig.ch, rig.pool.fd));
	/* completes inside submission, on the CPU that submits */
	attach_disk(&rig.ch, FAST_DISK, O_RDWR);
	run_on_cpu(1);
	before = counters(1, NULL);
	for (i = 0; i < 10; i++)
		check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 4096), 4096);
	check_eq(counters(1, &before).remote_completions, 0);
	run_on_cpu(0);
	for (i = 0; i < 10; i++)
		check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 4096), 4096);
	check_eq(counters(1, &before).remote_completions, 10);
	rig_close(&rig);
}

/* Where somebody's pages are cached the worker goes through them. */
TEST(ops_that_meet_cached_pages_are_punted)
{
	struct counters before, d;
	char page[4096];
	struct rig rig;
	int fd, i;

	rig_open(&rig, 4, 64 * KiB, FAST_DISK);
	fd = must(open(FAST_DISK, O_RDWR));
	before = counters(0, NULL);
	for (i = 0; i < 5; i++) {
		/* dirty in the cache, and only there */
		fill(page, 4096, (uint64_t)i, 1);
		check_eq(pwrite(fd, page, 4096, 8 * MiB), 4096);
		check_eq(rig_io(&rig, PIRN_OP_READ, 8 * MiB, 0, 4096), 4096);
		check_filled(rig.pool.memory, 4096, (uint64_t)i, 1);
		d = counters(0, &before);
		check_eq(d.worker_punts, i + 1);
		/* elsewhere nothing is cached and nothing is punted */
		check_eq(rig_io(&rig, PIRN_OP_READ, 16 * MiB, 0, 4096), 4096);
		check_eq(counters(0, &before).worker_punts, i + 1);
	}
	/* a write too, and the reader of the cache sees it */
	check_eq(pread(fd, page, 4096, 8 * MiB), 4096);
	fill(rig.pool.memory, 4096, 0, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 8 * MiB, 0, 4096), 4096);
	check_op(counters(0, &before).worker_punts, >, 5);
	check_eq(pread(fd, page, 4096, 8 * MiB), 4096);
	check_filled(page, 4096, 0, 2);
	d = counters(0, &before);
	check_eq(d.submitted, 11);
	check_eq(d.completed, 11);
	check_eq(d.bytes_read, 10 * 4096);
	check_eq(d.bytes_written, 4096);
	close(fd);
	rig_close(&rig);
}

/* What the scheduler has of the calling thread, by ways of its own. */
struct scheduled {
	unsigned long long preemptions, run_delay_ns;
};

static struct scheduled scheduled(void)
{
	struct scheduled now;
	struct rusage usage;
	FILE *file = fopen("/proc/thread-self/schedstat", "re");

	check(file);
	check_eq(fscanf(file, "%*u %llu", &now.run_delay_ns), 1);
	fclose(file);
	must(getrusage(RUSAGE_THREAD, &usage));
	now.preemptions = (unsigned long long)usage.ru_nivcsw;
	return now;
}

/* Until the thread has been taken off its CPU @times more often. */
static void spin_until_preempted(unsigned int times)
{
	struct scheduled from = scheduled();

	while (scheduled().preemptions < from.preemptions + times)
		;
}

static pid_t spinner(int cpu)
{
	pid_t pid = must(fork());

	if (pid)
		return pid;
	run_on_cpu(cpu);
	for (;;)
		;
}

static void *take_over(void *arg)
{
	struct channel *ch = arg;
	struct counters before = counters(1, NULL), d;

	run_on_cpu(1);
	spin_until_preempted(3);
	/* its past is not the channel's */
	check_eq(enter(ch, 0), 0);
	d = counters(1, &before);
	check_eq(d.preemptions, 0);
	check_eq(d.run_delay_ns, 0);
	return NULL;
}

TEST(what_takes_the_cpu_away_is_counted)
{
	struct scheduled early[2], late[2];
	struct counters before, d;
	pthread_t thread;
	struct channel ch;
	pid_t pid;

	channel_open_on(&ch, 4, 4, 1);
	run_on_cpu(1);
	pid = spinner(1);
	early[0] = scheduled();
	check_eq(enter(&ch, 0), 0);
	before = counters(1, NULL);
	late[0] = scheduled();
	spin_until_preempted(3);
	early[1] = scheduled();
	check_eq(enter(&ch, 0), 0);
	d = counters(1, &before);
	late[1] = scheduled();
	check_op(d.preemptions, >=, 3);
	check_op(d.preemptions, >=, early[1].preemptions - late[0].preemptions);
	check_op(d.preemptions, <=, late[1].preemptions - early[0].preemptions);
	check_op(d.run_delay_ns, >, 0);
	check_op(d.run_delay_ns, >=,
		 early[1].run_delay_ns - late[0].run_delay_ns);
	check_op(d.run_delay_ns, <=,
		 late[1].run_delay_ns - early[0].run_delay_ns);
	check_eq(pthread_create(&thread, NULL, take_over, &ch), 0);
	check_eq(pthread_join(thread, NULL), 0);
	must(kill(pid, SIGKILL));
	check_eq(must(waitpid(pid, NULL, 0)), pid);
	channel_close(&ch);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_possible_cpu_has_the_same_files),
		cmocka_unit_test(counters_add_up_and_outlive_the_channel),
		cmocka_unit_test(enters_are_counted_one_by_one),
		cmocka_unit_test(in_flight_and_wakeups),
		cmocka_unit_test(completions_elsewhere_are_remote),
		cmocka_unit_test(ops_that_meet_cached_pages_are_punted),
		cmocka_unit_test(what_takes_the_cpu_away_is_counted),
	};

	return run_program(argc, argv, "sysfs", tests, array_size(tests));
}
