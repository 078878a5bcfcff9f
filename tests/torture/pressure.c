// SPDX-License-Identifier: MIT
/*
 * What the rest of the machine does to IO: CPUs that go and come, memory that
 * runs short, and the limits of a cgroup, which hold for what a worker does on
 * behalf of a process as for what it does itself.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "load.h"

#define GROUP "/sys/fs/cgroup/torture"
#define LIMIT (4u * MiB)	/* bytes a second of io.max */
#define GROUP_BYTES (64 * MiB)

static pid_t start(void (*fn)(uint64_t arg), uint64_t arg)
{
	pid_t pid = must(fork());

	if (pid)
		return pid;
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	fn(arg);
	_exit(0);
}

static void await_success(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0));
	check(WIFEXITED(status));
	check_eq(WEXITSTATUS(status), 0);
}

/* --------------------------------------------------------------------- CPUs */

/* A channel of CPU @cpu, whether it is there or not. */
static void work_of_cpu(uint64_t cpu)
{
	struct load load;
	cpu_set_t set;
	int op;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);	/* not while it is away */
	load_open(&load, cpu % 2 ? NVME_DISK : "/dev/nullb1", cpu + 1);
	load_run(&load, 3000);
	load_drain(&load);
	for (op = 0; op < PIRN_OP_LAST; op++)
		load_check(&load, op, "CPUs go and come", NULL, 0);
	check_op(load_ended(&load, PIRN_OP_READ, 0), >, 0);
	load_close(&load);
}

static void set_cpu(long cpu, bool online)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/online", cpu);
	write_text(path, online ? "1" : "0");
}

static void cpus_go_and_come(uint64_t seed)
{
	long cpu, cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct rng rng = { seed };
	uint64_t end = clock_ns() + 3000000000u;
	pid_t pid[64];

	check_op(cpus, <=, 64);
	for (cpu = 0; cpu < cpus; cpu++)
		pid[cpu] = start(work_of_cpu, (uint64_t)cpu);
	while (clock_ns() < end && cpus > 1) {
		cpu = 1 + (long)rng_below(&rng, (uint64_t)cpus - 1);
		set_cpu(cpu, false);
		/* its counters stay */
		cpu_counter((unsigned int)cpu, "submitted");
		nap_ms((unsigned int)rng_below(&rng, 60));
		set_cpu(cpu, true);
	}
	for (cpu = 0; cpu < cpus; cpu++)
		await_success(pid[cpu]);
}

/* ------------------------------------------------------------------- memory */

static unsigned long long available_memory(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	check(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	}
	fclose(file);
	check_op(kib, >, 0);
	return kib * 1024;
}

/* Takes all but a little, and for a while all there is of that. */
static void eat_memory(uint64_t ms)
{
	uint64_t end = clock_ns() + ms * 1000000u;
	char *at;

	while (clock_ns() < end) {
		if (available_memory() < 96 * MiB) {
			nap_ms(5);
			continue;
		}
		at = must(mmap(NULL, 16 * MiB, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
		check(at);
	}
}

static void memory_runs_short(uint64_t seed)
{
	pid_t eater = start(eat_memory, 4000);
	uint64_t end = clock_ns() + 4000000000u;
	struct pirn_pool_create create = { .node = -1 };
	struct rng rng = { seed };
	struct load load;
	int fd, op;

	load_open(&load, NVME_DISK, seed);
	while (clock_ns() < end) {
		create.bytes = PAGE << rng_below(&rng, 11);
		fd = pool_create(&create);
		check(fd >= 0 || errno == ENOMEM);
		load_run(&load, 20);
		if (fd >= 0)
			must(close(fd));
	}
	load_drain(&load);
	for (op = 0; op < PIRN_OP_LAST; op++)
		load_check(&load, op, "memory runs short", NULL, 0);
	load_close(&load);
	await_success(eater);
}

/* ------------------------------------------------------------------- cgroup */

static unsigned long long group_number(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), GROUP "/%s", name);
	return read_number(path);
}

static void join_group(void)
{
	write_text(GROUP "/cgroup.procs", "0");
}

static void pool_of_bytes(uint64_t bytes)
{
	struct pirn_pool_create create = { .bytes = bytes, .node = -1 };
	unsigned long long before;
	int fd;

	join_group();
	before = group_number("memory.current");
	fd = pool_create(&create);
	if (fd < 0)
		_exit(errno == ENOMEM ? 2 : 1);
	/* charged to the group, all of it; of what it had before, some may go */
	check_op(group_number("memory.current") - before, >=, bytes / 8 * 7);
	_exit(0);
}

/*
 * A pool that does not fit ends the call or, as with any memory there, the
 * process; the kernel tells of the latter with a trace, which is no fault.
 */
static void memory_of_a_group(uint64_t seed)
{
	int status;
	pid_t pid;

	(void)seed;
	shell("echo %u >" GROUP "/memory.max", GROUP_BYTES);
	await_success(start(pool_of_bytes, GROUP_BYTES / 2));
	shell("cat /proc/sys/kernel/printk >/run/printk && echo 4 >/proc/sys/kernel/printk");
	pid = start(pool_of_bytes, 2 * GROUP_BYTES);
	must(waitpid(pid, &status, 0));
	shell("cat /run/printk >/proc/sys/kernel/printk");
	shell("! dmesg | grep -E 'WARNING:|BUG:|Oops'");
	check((WIFEXITED(status) && WEXITSTATUS(status) == 2) ||
	      (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	check_op(group_number("memory.peak"), <=, GROUP_BYTES);
	shell("echo max >" GROUP "/memory.max");
}

/* Bytes a second of reads in the group; @punted: that meet cached pages. */
static double read_rate(struct load *load, unsigned int ms)
{
	uint64_t start_ns = clock_ns();

	load_forget(load);
	load_run(load, ms);
	load_drain(load);
	load_check(load, PIRN_OP_READ, "io.max", NULL, 0);
	return (double)load_ended(load, PIRN_OP_READ, 0) * load->bytes * 1e9 /
	       (double)(clock_ns() - start_ns);
}

static void cache_all_of(const struct load *load)
{
	size_t bytes = load->blocks * LOAD_BYTES + load->bytes;
	int fd = must(open(NVME_DISK, O_RDONLY | O_CLOEXEC));
	char *buf = malloc(bytes);

	check_eq(pread(fd, buf, bytes, 0), (ssize_t)bytes);
	free(buf);
	close(fd);
}

static void limited_reads(uint64_t punted)
{
	unsigned long long punts;
	struct load load;
	double free_rate, rate;

	load_open(&load, NVME_DISK, 1);
	load.bytes = 64 * KiB;
	load.write_percent = load.fsync_percent = 0;
	if (punted)
		cache_all_of(&load);
	punts = cpu_counter(0, "worker_punts");
	free_rate = read_rate(&load, 700);
	join_group();
	rate = read_rate(&load, 4000);
	punts = cpu_counter(0, "worker_punts") - punts;
	printf("pressure: %s reads: %.1f MiB/s free, %.1f of %.1f allowed, %llu punts\n",
	       punted ? "punted" : "direct", free_rate / MiB, rate / MiB,
	       (double)LIMIT / MiB, punts);
	fflush(stdout);
	check(punted ? punts > 0 : punts == 0);
	/* a disk as slow as the limit would say nothing */
	check(free_rate > 10.0 * LIMIT);
	check(rate < 2.0 * LIMIT);
	check(rate > LIMIT / 4.0);
	load_close(&load);
}

static void io_of_a_group(uint64_t seed)
{
	(void)seed;
	shell("echo \"$(cat /sys/block/nvme0n1/dev) rbps=%u\" >" GROUP "/io.max", LIMIT);
	await_success(start(limited_reads, 0));
	await_success(start(limited_reads, 1));
	shell("echo \"$(cat /sys/block/nvme0n1/dev) rbps=max\" >" GROUP "/io.max");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(uint64_t seed);
	} trial[] = {
		{ "CPUs go and come", cpus_go_and_come },
		{ "memory runs short", memory_runs_short },
		{ "the memory of a group", memory_of_a_group },
		{ "the IO of a group", io_of_a_group },
	};
	struct torture t = {
		.name = "pressure", .unit = "rounds of all trials", .bound = 20,
		.what = "Takes CPUs and memory away under IO, and holds a cgroup's "
			"memory.max and io.max against pools and IO, punted IO too. About "
			"5 minutes in an emulated machine.",
	};
	char slow[32];
	struct rng rng;
	uint64_t round;
	unsigned int i;

	torture_begin(&t, argc, argv);
	rng.state = t.seed;
	slow_disk(1, 3000000, slow);
	shell("echo '+io +memory' >/sys/fs/cgroup/cgroup.subtree_control && mkdir -p " GROUP);
	for (round = 1; round <= t.bound; round++) {
		for (i = 0; i < array_size(trial); i++) {
			if (round == 1)
				printf("pressure: %s\n", trial[i].name);
			trial[i].fn(rng_next(&rng));
		}
		check_ops_ended();
		torture_progress(round);
	}
	check_nothing_left();
	shell("rmdir " GROUP);
	printf("pressure: %llu rounds, nothing lost, limits held\n",
	       (unsigned long long)t.bound);
	return 0;
}
