// SPDX-License-Identifier: MIT
/*
 * Who may do what, as kmod/threat-model.md promises it: what a user without
 * privileges can do and where it ends, what can be seen of others, and what the
 * one who is handed an fd has got with it.
 */
#include <grp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/mempolicy.h>

#include "command.h"
#include "device.h"
#include "pass_fd.h"

#define NOBODY 65534

/* What was opened before is what somebody gave it. */
static void become_nobody(size_t memlock)
{
	struct rlimit limit = { memlock, memlock };

	must(setrlimit(RLIMIT_MEMLOCK, &limit));
	must(setgroups(0, NULL));
	must(setgid(NOBODY));
	must(setuid(NOBODY));
}

/* @memlock KiB; what it prints and says. */
static const struct output *command_of_nobody(size_t memlock, const char *what)
{
	char line[700];

	snprintf(line, sizeof(line),
		 "ulimit -l %zu; exec setpriv --reuid=%d --regid=%d --clear-groups %s %s",
		 memlock, NOBODY, NOBODY, command_path(), what);
	return run_program_at((char *const[]){ (char *)"/bin/sh", (char *)"-c", line,
					       NULL });
}

static int child_status(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0));
	return status;
}

/* ------------------------------------------------------- without privileges */

static int create_pool_on(int device, uint64_t bytes, int node)
{
	struct pirn_pool_create create = {
		.size = sizeof(create), .bytes = bytes, .node = node,
	};

	return ioctl(device, PIRN_IOC_POOL_CREATE, &create);
}

static void tells(const struct output *o, const char *what)
{
	if (!strstr(o->out, what) && !strstr(o->err, what))
		check_failed(__FILE__, __LINE__, "no '%s' in: %s%s", what, o->out,
			     o->err);
}

/* Who may not, or not so much, is told why, in one line, and what to do about it. */
TEST(the_command_says_what_stands_in_the_way)
{
	const struct output *o;

	must(chmod("/dev/pirn", 0660));
	o = command_of_nobody(64, "info");
	check_eq(o->status, 0);
	tells(o, "Permission denied (mode 0660, of user root and group root)\n");
	tells(o, "\nkmod: no, /dev/pirn: Permission denied (root and the device's group may: adduser");
	must(chmod("/dev/pirn", 0666));
	o = command_of_nobody(8192, "info");
	check_eq(o->status, 0);
	tells(o, "\nkmod: usable, within 8192 KiB of memory (RLIMIT_MEMLOCK; 16 MiB a core");
	o = command_of_nobody(2048, "cp --backend=kmod --cores=0 /etc/passwd /run/no");
	check_eq(o->status, 1);
	check_eq(lines_of(o->err), 1);
	tells(o, "RLIMIT_MEMLOCK reached): the limit is 2048 KiB for all of a user's programs");
	must(chmod("/dev/pirn", 0660));
	/* which root does not have */
	check(!strstr(run_well("info")->out, "RLIMIT_MEMLOCK"));
}

static int backend_of(void *arg)
{
	(void)arg;
	return pirn_backend_current();
}

/* A backend that may not pin what it needs does not work: another one is taken. */
TEST(auto_takes_what_fits_the_limit)
{
	char message[512] = "";
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	struct rlimit limit = { 2 * MiB, 2 * MiB };
	int backend = -1;

	opt.cpus = "0";
	opt.message = message;
	opt.message_bytes = sizeof(message);
	must(chmod("/dev/pirn", 0666));
	check_eq(pirn_run(&opt, backend_of, NULL, &backend), 0);
	check_eq(backend, PIRN_BACKEND_KMOD);
	must(setrlimit(RLIMIT_MEMLOCK, &limit));
	must(seteuid(NOBODY));
	check_eq(pirn_run(&opt, backend_of, NULL, &backend), 0);
	check_eq(backend, PIRN_BACKEND_URING);
	if (!strstr(message, "backend uring; not kmod: core 0: no pool of ") ||
	    !strstr(message, "the limit is 2048 KiB"))
		check_failed(__FILE__, __LINE__, "%s", message);
	/* what was named is not */
	opt.backend = PIRN_BACKEND_KMOD;
	check_eq(pirn_run(&opt, backend_of, NULL, &backend), -ENOMEM);
	must(setenv("PIRN_BACKEND", "kmod", 1));
	opt.backend = PIRN_BACKEND_AUTO;
	check_eq(pirn_run(&opt, backend_of, NULL, &backend), -ENOMEM);
	must(seteuid(0));
	must(chmod("/dev/pirn", 0660));
}

/* All of it, with the device and a disk that were given; and no byte more. */
TEST(a_user_without_privileges_works_within_the_limit)
{
	struct pirn_channel_create create = {
		.size = sizeof(create), .sq_entries = 8, .cq_entries = 8,
	};
	int device = open_device();
	int disk = must(open(FAST_DISK, O_RDWR | O_DIRECT));
	struct pirn_sqe sqe;
	struct channel ch = { 0 };
	struct pool pool = { .bytes = 256 * KiB };

	become_nobody(512 * KiB);
	must_fail(open("/dev/pirn", O_RDWR), EACCES);
	ch.fd = must(ioctl(device, PIRN_IOC_CHANNEL_CREATE, &create));
	channel_map(&ch, create.mmap_bytes);
	pool.fd = must(create_pool_on(device, pool.bytes, -1));
	pool.memory = must(mmap(NULL, pool.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
				pool.fd, 0));
	check_eq(attach_pool_fd(&ch, pool.fd), 0);
	check_eq(attach_target_fd(&ch, disk), 0);
	fill(pool.memory, 64 * KiB, 0, 1);
	sqe = io_sqe(PIRN_OP_WRITE, MiB, 0, 64 * KiB);
	check_eq(do_sqe(&ch, &sqe), 64 * KiB);
	sqe = io_sqe(PIRN_OP_READ, MiB, 64 * KiB, 64 * KiB);
	check_eq(do_sqe(&ch, &sqe), 64 * KiB);
	check_filled(pool.memory + 64 * KiB, 64 * KiB, 0, 1);
	must_fail(create_pool_on(device, 256 * KiB, -1), ENOMEM);
	/* a second channel still fits, one with long rings does not */
	close_new(ioctl(device, PIRN_IOC_CHANNEL_CREATE, &create));
	create.sq_entries = 1024;
	create.cq_entries = 1024;
	must_fail(ioctl(device, PIRN_IOC_CHANNEL_CREATE, &create), ENOMEM);
	pool_close(&pool);
	channel_close(&ch);
}

/* Who is root in a namespace of his own has no more of the machine's memory. */
TEST(root_of_a_namespace_keeps_the_users_limit)
{
	int device = open_device();

	become_nobody(512 * KiB);
	if (unshare(CLONE_NEWUSER))
		skip_case("no user namespaces without privileges: %s", strerror(errno));
	must_fail(create_pool_on(device, MiB, -1), ENOMEM);
	close_new(create_pool_on(device, 256 * KiB, -1));
}

/* ------------------------------------------------------------ what is shown */

/* Any word that could be an address in the kernel, of x86 or aarch64. */
static void no_addresses(const void *memory, size_t bytes)
{
	const uint64_t *word = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (word[i] >> 48 == 0xffff)
			check_failed(__FILE__, __LINE__, "%#llx at byte %zu",
				     (unsigned long long)word[i], i * sizeof(*word));
}

/* New rings hold nothing but their header, and later nothing but results. */
TEST(rings_show_nothing_of_the_kernel_or_others)
{
	struct pirn_channel_create create = {
		.sq_entries = 256, .cq_entries = 1024, .results = 1024,
		.flags = PIRN_CHANNEL_TIMES,
	};
	size_t at;
	struct channel ch;
	struct pool pool;
	unsigned int i;

	/* memory that was somebody's */
	for (i = 0; i < 4; i++) {
		pool_open(&pool, 16 * MiB);
		memset(pool.memory, 0xa5, 16 * MiB);
		pool_close(&pool);
	}
	for (i = 0; i < 8; i++) {
		channel_open_as(&ch, &create);
		no_addresses(ch.ring, ch.bytes);
		for (at = sizeof(*ch.ring); at < ch.bytes; at++)
			check_eq(((char *)ch.ring)[at], 0);
		check_eq(attach_disk(&ch, FAST_DISK, O_RDWR), 0);
		pool_open(&pool, 64 * KiB);
		check_eq(attach_pool_fd(&ch, pool.fd), 0);
		*next_sqe(&ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		*next_sqe(&ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		*next_sqe(&ch) = io_sqe(99, 0, 0, 0);
		*next_sqe(&ch) = (struct pirn_sqe){
			.op = PIRN_OP_JOIN, .len = 1, .threshold = 1,
		};
		*next_sqe(&ch) = io_sqe(PIRN_OP_FSYNC, 0, 0, 0);
		check_eq(enter(&ch, 5), 5);
		await_cqes(&ch, 4);
		no_addresses(ch.ring, ch.bytes);
		channel_close(&ch);
		pool_close(&pool);
	}
}

/* Whether the mapping that begins at @at has each of the flags. */
static void check_flags(const void *at, const char *yes[], const char *no[])
{
	char line[512], wanted[32];
	bool mine = false;
	FILE *file = fopen("/proc/self/smaps", "re");

	check(file);
	snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)at);
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, wanted, strlen(wanted)))
			mine = true;
		if (mine && !strncmp(line, "VmFlags:", 8))
			break;
	}
	fclose(file);
	check(mine);
	for (; *yes; yes++)
		if (!strstr(line, *yes))
			check_failed(__FILE__, __LINE__, "no%s in %s", *yes, line);
	for (; *no; no++)
		if (strstr(line, *no))
			check_failed(__FILE__, __LINE__, "%s in %s", *no, line);
}

/* Neither a child nor a dump of the process has them. */
TEST(mappings_are_neither_inherited_nor_dumped)
{
	/* mixed, not expanded, not copied, not dumped; no IO, no raw frames */
	const char *yes[] = { " mm", " de", " dc", " dd", NULL };
	const char *no[] = { " io", " pf", NULL };
	struct channel ch;
	struct pool pool;

	channel_open(&ch, 4, 4);
	pool_open(&pool, 64 * KiB);
	check_flags(ch.ring, yes, no);
	check_flags(pool.memory, yes, no);
	check_op(fcntl(ch.fd, F_GETFD) & FD_CLOEXEC, !=, 0);
	check_op(fcntl(pool.fd, F_GETFD) & FD_CLOEXEC, !=, 0);
	channel_close(&ch);
	pool_close(&pool);
}

/* ------------------------------------------------------------- handed an fd */

/* In another process, of nobody: has the rings, and a say, and no ENTER. */
static void use_received_channel(int socket)
{
	struct channel ch = { .fd = receive_fd(socket) };
	struct pirn_sqe *sqe;

	become_nobody(512 * KiB);
	channel_map(&ch, PAGE);
	check_eq(ch.ring->sq_entries, 4);
	check_eq(ch.cq[0].cookie, 77);
	must_fail(enter(&ch, 1), EPERM);
	must_fail(enter(&ch, PIRN_ENTER_WAIT), EPERM);
	must_fail(enter_until(&ch, 1, PIRN_ENTER_WAIT, clock_ns()), EPERM);
	/* what the owner will submit next, when it says so */
	sqe = &ch.sq[1];
	*sqe = io_sqe(PIRN_OP_READ, 0, 4096, 4096);
	sqe->cookie = 78;
	must_fail(enter(&ch, 1), EPERM);
	check_eq(cq_ready(&ch), 1);
	/* the table is the channel's, whoever asks */
	must(detach_pool(&ch, 1));
	must_fail(detach_pool(&ch, 1), ENOENT);
}

TEST(who_is_handed_a_channel_has_its_rings_and_no_enter)
{
	int sockets[2];
	struct rig rig;
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	rig_open(&rig, 4, 64 * KiB, FAST_DISK);
	check_eq(attach_pool_fd(&rig.ch, rig.pool.fd), 1);
	next_sqe(&rig.ch)->cookie = 77;
	check_eq(enter(&rig.ch, 1), 1);
	pid = must(fork());
	if (!pid) {
		use_received_channel(sockets[1]);
		exit(0);
	}
	send_fd(sockets[0], rig.ch.fd);
	check_eq(child_status(pid), 0);
	check_eq(take_cqe(&rig.ch).cookie, 77);
	/* nothing was done until now */
	check_eq(cq_ready(&rig.ch), 0);
	check_eq(enter(&rig.ch, 1 | PIRN_ENTER_WAIT), 1);
	await_cqes(&rig.ch, 1);
	check_eq(take_cqe(&rig.ch).cookie, 78);
	must_fail(detach_pool(&rig.ch, 1), ENOENT);
	rig_close(&rig);
}

/* The memory of a process, by the pool that it made of it and gave away. */
TEST(who_is_handed_a_pool_has_its_memory)
{
	const size_t bytes = 64 * KiB;
	char *memory = must(mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
	struct pirn_pool_create create = {
		.flags = PIRN_POOL_USER, .bytes = bytes, .node = -1,
		.addr = (uintptr_t)memory,
	};
	int sockets[2], fd = must(pool_create(&create));
	struct pirn_sqe sqe;
	struct channel ch;
	pid_t pid;

	fill(memory, bytes, 0, 5);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = must(fork());
	if (!pid) {
		int pool = receive_fd(sockets[1]);

		must_fail((long)mmap(NULL, bytes, PROT_READ, MAP_SHARED, pool, 0),
			  ENODEV);
		channel_open(&ch, 4, 4);
		/* no pool was attached to this one: an index reaches no other's */
		check_eq(attach_disk(&ch, FAST_DISK, O_RDWR), 0);
		sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		check_eq(do_sqe(&ch, &sqe), -ENXIO);
		check_eq(attach_pool_fd(&ch, pool), 0);
		sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);
		check_eq(do_sqe(&ch, &sqe), 4096);
		sqe = io_sqe(PIRN_OP_READ, 0, 4096, 4096);
		check_eq(do_sqe(&ch, &sqe), 4096);
		/* and not a byte beyond it */
		sqe = io_sqe(PIRN_OP_READ, 0, bytes - 512, 1024);
		check_eq(do_sqe(&ch, &sqe), -EFAULT);
		sqe = io_sqe(PIRN_OP_READ, 0, 0 - 4096ull, 4096);
		check_eq(do_sqe(&ch, &sqe), -EFAULT);
		exit(0);
	}
	send_fd(sockets[0], fd);
	check_eq(child_status(pid), 0);
	check_filled(memory + 4096, 4096, 0, 5);
	close(fd);
}

/* ------------------------------------------------------------- memory nodes */

#define GROUP "/sys/fs/cgroup/rights"

static unsigned long long node_free(int node)
{
	unsigned long long kib = 0;
	char text[128];
	FILE *file;

	snprintf(text, sizeof(text), "/sys/devices/system/node/node%d/meminfo", node);
	file = fopen(text, "re");
	check(file);
	while (fgets(text, sizeof(text), file))
		if (sscanf(text, "Node %*d MemFree: %llu", &kib) == 1)
			break;
	fclose(file);
	return kib * KiB;
}

/* A pool for @node lies on @real. */
static void lies_on(int device, int node, int real)
{
	const uint64_t bytes = 128 * MiB;
	unsigned long long before = node_free(real);
	int fd = must(create_pool_on(device, bytes, node));

	/* most of it: others come and go there meanwhile */
	check_op(before - node_free(real), >=, bytes / 4 * 3);
	close(fd);
}

/* Channels for a CPU of node 1: a node that is named is a wish, as for all of the kernel. */
static void channels_lie_on(int device, int real)
{
	struct pirn_channel_create create = {
		.size = sizeof(create), .sq_entries = 4096, .cq_entries = 16384,
		.results = 16384, .cpu = 2,
	};
	unsigned long long before = node_free(real);
	int fds[8];
	size_t i;

	for (i = 0; i < array_size(fds); i++)
		fds[i] = must(ioctl(device, PIRN_IOC_CHANNEL_CREATE, &create));
	check_op(before - node_free(real), >=, 48 * MiB);
	for (i = 0; i < array_size(fds); i++)
		close(fds[i]);
}

static void in_cpuset(void)
{
	int device = open_device();
	unsigned long mask = 2;
	cpu_set_t set;

	write_text(GROUP "/cgroup.procs", "0");
	/* its policy would have it on the other node; the pool's node is what counts */
	must(syscall(SYS_set_mempolicy, MPOL_BIND, &(unsigned long){ 1 }, 8));
	must_fail(create_pool_on(device, MiB, 1), EINVAL);
	lies_on(device, 0, 0);
	/* from a CPU of the node it may not use */
	CPU_ZERO(&set);
	CPU_SET(2, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
	lies_on(device, -1, 0);
	channels_lie_on(device, 0);
	must_fail((long)syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8), EINVAL);
}

TEST(pools_and_channels_lie_where_the_cpuset_allows)
{
	int device;
	pid_t pid;

	if (access("/sys/devices/system/node/node1", F_OK))
		skip_case("this machine has one node");
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		check_failed(__FILE__, __LINE__, GROUP ": %s", strerror(errno));
	write_text(GROUP "/cpuset.mems", "0");
	pid = must(fork());
	if (!pid) {
		in_cpuset();
		exit(0);
	}
	check_eq(child_status(pid), 0);
	must(rmdir(GROUP));
	/* a policy alone, without a cpuset, does not move a pool either */
	device = open_device();
	must(syscall(SYS_set_mempolicy, MPOL_BIND, &(unsigned long){ 1 }, 8));
	lies_on(device, 1, 1);
	channels_lie_on(device, 1);
	close(device);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_says_what_stands_in_the_way),
		cmocka_unit_test(auto_takes_what_fits_the_limit),
		cmocka_unit_test(a_user_without_privileges_works_within_the_limit),
		cmocka_unit_test(root_of_a_namespace_keeps_the_users_limit),
		cmocka_unit_test(rings_show_nothing_of_the_kernel_or_others),
		cmocka_unit_test(mappings_are_neither_inherited_nor_dumped),
		cmocka_unit_test(who_is_handed_a_channel_has_its_rings_and_no_enter),
		cmocka_unit_test(who_is_handed_a_pool_has_its_memory),
		cmocka_unit_test(pools_and_channels_lie_where_the_cpuset_allows),
	};

	return run_program(argc, argv, "rights", tests, array_size(tests));
}
