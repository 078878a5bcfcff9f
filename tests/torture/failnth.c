// SPDX-License-Identifier: MIT
/*
 * Each allocation of each call fails in turn, and each copy from and to user
 * space where the kernel can do that: the first of the call, then the second,
 * until none is left to fail. What failed must say ENOMEM or EFAULT, have changed
 * nothing and work when it is made again; what did not fail must be undone by
 * closing it. Wants a kernel with fault injection (tests/vm/run --kernel
 * 6.1-debug).
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "torture.h"

#define MOST_FAULTS 20000u

/* What a call works on; made anew, without faults, before each. */
struct bench {
	struct rig rig;
	int device;
	int disk;
	int event;
	int epoll;
	void *user;		/* memory of the caller's, for pools */
	unsigned int round;
};

struct path {
	const char *name;
	/* Makes the call: -1 and errno, or what to give to undo. */
	int (*act)(struct bench *b);
	void (*undo)(struct bench *b, int got);
	/* Where it fails, by giving up what may be had later, and succeeds. */
	bool never_fails;
};

static char injected_path[64];

/* -------------------------------------------------------------------- calls */

static void undo_fd(struct bench *b, int fd)
{
	(void)b;
	must(close(fd));
}

static void undo_nothing(struct bench *b, int got)
{
	(void)b;
	(void)got;
}

static int act_open(struct bench *b)
{
	(void)b;
	return open("/dev/pirn", O_RDWR | O_CLOEXEC);
}

static int act_query(struct bench *b)
{
	struct pirn_query query = { .size = sizeof(query) };

	return ioctl(b->device, PIRN_IOC_QUERY, &query);
}

static int act_channel(struct bench *b)
{
	struct pirn_channel_create create = { .size = sizeof(create), .sq_entries = 64,
					      .cq_entries = 256, .cpu = 1 };

	return ioctl(b->device, PIRN_IOC_CHANNEL_CREATE, &create);
}

static int make_pool(struct bench *b, size_t bytes, void *user)
{
	struct pirn_pool_create create = { .size = sizeof(create), .bytes = bytes,
					   .node = -1 };

	if (user) {
		create.flags = PIRN_POOL_USER;
		create.addr = (uintptr_t)user;
	}
	return ioctl(b->device, PIRN_IOC_POOL_CREATE, &create);
}

static int act_pool_page(struct bench *b)
{
	return make_pool(b, PAGE, NULL);
}

static int act_pool_pieces(struct bench *b)
{
	return make_pool(b, 2 * MiB + 12 * PAGE, NULL);
}

static int act_pool_user(struct bench *b)
{
	return make_pool(b, 64 * KiB, b->user);
}

/* Memory that is not there yet: pinning it brings it in. */
static int act_pool_untouched(struct bench *b)
{
	madvise(b->user, 64 * KiB, MADV_DONTNEED);
	return make_pool(b, 64 * KiB, b->user);
}

static int act_attach_target(struct bench *b)
{
	return attach_target_fd(&b->rig.ch, b->disk);
}

static void undo_attach_target(struct bench *b, int index)
{
	must(detach_target(&b->rig.ch, (uint32_t)index));
}

static int act_attach_pool(struct bench *b)
{
	return attach_pool_fd(&b->rig.ch, b->rig.pool.fd);
}

static void undo_attach_pool(struct bench *b, int index)
{
	must(detach_pool(&b->rig.ch, (uint32_t)index));
}

static void *mapped;

static int map_fd(int fd, size_t bytes)
{
	mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return mapped == MAP_FAILED ? -1 : (int)(bytes / PAGE);
}

static int act_map_ring(struct bench *b)
{
	return map_fd(b->rig.ch.fd, b->rig.ch.bytes);
}

static int act_map_pool(struct bench *b)
{
	return map_fd(b->rig.pool.fd, b->rig.pool.bytes);
}

static void undo_map(struct bench *b, int pages)
{
	(void)b;
	must(munmap(mapped, (size_t)pages * PAGE));
}

static int submit(struct bench *b, int op, unsigned int n)
{
	unsigned int i;
	struct channel *ch = &b->rig.ch;

	for (i = 0; i < n; i++)
		*next_sqe(ch) = op == PIRN_OP_FSYNC ? io_sqe(op, 0, 0, 0) :
				io_sqe(op, 4096 * i, 4096 * i, 4096);
	return enter(ch, ch->sq_tail - ch->ring->sq_head);
}

/* What went in ends well or for want of memory; nothing else is left behind. */
static void undo_submit(struct bench *b, int n)
{
	struct channel *ch = &b->rig.ch;
	struct pirn_cqe cqe;

	await_cqes(ch, (uint32_t)n);
	while (cq_ready(ch)) {
		cqe = take_cqe(ch);
		check(cqe.res >= 0 || cqe.res == -ENOMEM);
	}
	/* not consumed: stays in the queue, and is not wanted any more */
	while (ch->ring->sq_head != ch->sq_tail) {
		must(enter(ch, ch->sq_tail - ch->ring->sq_head));
		nap_ms(1);
		while (cq_ready(ch))
			take_cqe(ch);
	}
}

static int act_read(struct bench *b)
{
	return submit(b, PIRN_OP_READ, 1);
}

static int act_batch(struct bench *b)
{
	return submit(b, PIRN_OP_WRITE, 8);
}

static int act_fsync(struct bench *b)
{
	return submit(b, PIRN_OP_FSYNC, 1);
}

/* Another priority is another identity, of which a record is made. */
static int act_identity(struct bench *b)
{
	/* IOPRIO_WHO_PROCESS, class best effort */
	if (syscall(SYS_ioprio_set, 1, 0, (2 << 13) | (b->round++ & 7)))
		return -1;
	return submit(b, PIRN_OP_READ, 1);
}

static int act_until(struct bench *b)
{
	int ret = enter_until(&b->rig.ch, 0, PIRN_ENTER_WAIT, clock_ns() + 1000);

	return ret < 0 && errno == ETIME ? 0 : ret;
}

static int act_poll(struct bench *b)
{
	struct pollfd p = { .fd = b->rig.ch.fd, .events = POLLIN };

	return poll(&p, 1, 0);
}

static int act_epoll(struct bench *b)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->rig.ch.fd, &event);
}

static void undo_epoll(struct bench *b, int got)
{
	(void)got;
	must(epoll_ctl(b->epoll, EPOLL_CTL_DEL, b->rig.ch.fd, NULL));
}

static int read_some(const char *path)
{
	char text[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC), n, err;

	if (fd < 0)
		return -1;
	n = (int)read(fd, text, sizeof(text));
	err = errno;
	close(fd);
	errno = err;
	return n;
}

static int act_counter(struct bench *b)
{
	(void)b;
	return read_some("/sys/class/misc/pirn/cpu0/submitted");
}

static int act_fdinfo(struct bench *b)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", b->rig.pool.fd);
	return read_some(path);
}

static const struct path paths[] = {
	{ "open", act_open, undo_fd, false },
	{ "QUERY", act_query, undo_nothing, false },
	{ "CHANNEL_CREATE", act_channel, undo_fd, false },
	{ "POOL_CREATE, a page", act_pool_page, undo_fd, false },
	{ "POOL_CREATE, pieces", act_pool_pieces, undo_fd, false },
	{ "POOL_CREATE, the caller's", act_pool_user, undo_fd, false },
	{ "POOL_CREATE, untouched", act_pool_untouched, undo_fd, false },
	{ "TARGET_ATTACH", act_attach_target, undo_attach_target, false },
	{ "POOL_ATTACH", act_attach_pool, undo_attach_pool, false },
	{ "mmap of rings", act_map_ring, undo_map, false },
	{ "mmap of a pool", act_map_pool, undo_map, false },
	{ "a read", act_read, undo_submit, true },
	{ "eight writes", act_batch, undo_submit, true },
	{ "an fsync", act_fsync, undo_submit, true },
	{ "ENTER of another identity", act_identity, undo_submit, false },
	{ "ENTER_UNTIL", act_until, undo_nothing, true },
	{ "poll", act_poll, undo_nothing, true },
	{ "epoll_ctl", act_epoll, undo_epoll, false },
	{ "a counter", act_counter, undo_nothing, false },
	{ "fdinfo", act_fdinfo, undo_nothing, false },
};

/* --------------------------------------------------------------- the faults */

/* The @nth thing that can fail in this thread does; 0: none. */
static void arm(int control, unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	/* A fault that is due hits this very call; then it is over. */
	if (pwrite(control, text, (size_t)n, 0) != n) {
		check_eq(errno, EFAULT);
		check_eq(pwrite(control, text, (size_t)n, 0), n);
	}
}

/* Whether it did. */
static bool disarm(int control)
{
	char text[16] = "";
	ssize_t n = pread(control, text, sizeof(text) - 1, 0);

	/* It was due and hit this call: so it had not before. */
	if (n < 0)
		check_eq(errno, EFAULT);
	arm(control, 0);
	return n > 0 && atoi(text) == 0;
}

static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	rig_open(&b->rig, 16, 64 * KiB, NVME_DISK);
	b->device = open_device();
	b->disk = must(open(NVME_DISK, O_RDWR | O_DIRECT | O_CLOEXEC));
	b->event = must(eventfd(0, EFD_CLOEXEC));
	b->epoll = must(epoll_create1(EPOLL_CLOEXEC));
	b->user = must(mmap(NULL, 64 * KiB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
	/* binds the channel and makes the first identity */
	undo_submit(b, must(submit(b, PIRN_OP_READ, 1)));
}

/* In a process of its own: what a failure has left would show at its end. */
static void walk(const struct path *path, int report)
{
	int control, got, err;
	unsigned int nth, faults = 0, failed = 0;
	struct bench b;

	/* a process that changes who it is may not open this of its own any more */
	control = must(open(injected_path, O_RDWR | O_CLOEXEC));
	become_user();
	bench_open(&b);
	for (nth = 1;; nth++) {
		check_op(nth, <, MOST_FAULTS);
		arm(control, nth);
		got = path->act(&b);
		err = errno;
		if (!disarm(control))
			break;
		faults++;
		if (got >= 0) {
			path->undo(&b, got);
			continue;
		}
		failed++;
		if (err != ENOMEM && err != EFAULT)
			check_failed(__FILE__, __LINE__, "%s: fault %u: %s", path->name, nth,
				     strerrorname_np(err));
		got = must(path->act(&b));
		path->undo(&b, got);
	}
	must(got);
	path->undo(&b, got);
	dprintf(report, "failnth: %-26s %u faults, %u failed\n", path->name, faults, failed);
	_exit(faults && !failed && !path->never_fails);
}

static void walk_path(const struct path *path)
{
	int status;
	pid_t pid = must(fork());

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		walk(path, STDOUT_FILENO);
	}
	must(waitpid(pid, &status, 0));
	check(WIFEXITED(status));
	check_eq(WEXITSTATUS(status), 0);
	check_ops_ended();
	check_nothing_charged();
}

/* Faults in allocations that may sleep too; without a trace for each. */
static void set_up_faults(void)
{
	static const char *const kind[] = { "failslab", "fail_page_alloc", "fail_usercopy",
					    "fail_make_request", "fail_io_timeout" };
	char path[96];
	size_t i;

	snprintf(injected_path, sizeof(injected_path), "/proc/thread-self/fail-nth");
	if (access(injected_path, F_OK) || access("/sys/kernel/debug/failslab", F_OK))
		cannot("this kernel has no fault injection; 6.1-debug has");
	for (i = 0; i < array_size(kind); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", kind[i]);
		if (!access(path, F_OK))
			write_text(path, "0");
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-wait", kind[i]);
		if (!access(path, F_OK))
			write_text(path, "N");
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-highmem", kind[i]);
		if (!access(path, F_OK))
			write_text(path, "N");
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/min-order", kind[i]);
		if (!access(path, F_OK))
			write_text(path, "0");
	}
}

int main(int argc, char **argv)
{
	struct torture t = {
		.name = "failnth", .unit = "rounds of all calls", .bound = 3,
		.what = "Lets each allocation of each call fail in turn, until none is left: "
			"the errno is right, nothing stays, the call works when repeated. "
			"Wants a kernel with fault injection. About 5 minutes in an "
			"emulated machine.",
	};
	uint64_t round;
	size_t i;

	torture_begin(&t, argc, argv);
	set_up_faults();
	shell("chmod 666 %s", NVME_DISK);
	for (round = 1; round <= t.bound; round++) {
		for (i = 0; i < array_size(paths); i++)
			walk_path(&paths[i]);
		torture_progress(round);
	}
	check_nothing_left();
	printf("failnth: %zu calls, nothing left\n", array_size(paths));
	return 0;
}
