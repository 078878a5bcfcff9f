// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/fs.h>

#include "calls.h"

#define FDS 24u
#define MAPS 12u

const char *const call_name[KINDS] = {
	"QUERY", "CHANNEL_CREATE", "POOL_CREATE", "ENTER", "ENTER_UNTIL", "NOTIFY",
	"TARGET_ATTACH", "TARGET_DETACH", "POOL_ATTACH", "POOL_DETACH", "unknown ioctl",
	"mmap", "munmap", "mremap", "mprotect", "madvise", "close", "dup", "file op", "poll",
	"epoll_ctl", "fork", "pass fd", "open", "fdinfo", "write SQEs", "write indices",
	"make well", "attach well", "IO well",
};

static const unsigned int command[IOCTLS] = {
	PIRN_IOC_QUERY, PIRN_IOC_CHANNEL_CREATE, PIRN_IOC_POOL_CREATE, PIRN_IOC_ENTER,
	PIRN_IOC_ENTER_UNTIL, PIRN_IOC_NOTIFY, PIRN_IOC_TARGET_ATTACH,
	PIRN_IOC_TARGET_DETACH, PIRN_IOC_POOL_ATTACH, PIRN_IOC_POOL_DETACH,
};

/* --------------------------------------------------- what a process works on */

static struct {
	struct rng rng;
	int fd[FDS];
	struct { char *at; size_t bytes; } map[MAPS];
	int pair[2];
	char *read_only;		/* the first page of map[0] again */
	int device;
	int disk;
	struct rig rig;			/* one that is whole, until it is not */
} me;

static uint64_t below(uint64_t n)
{
	return rng_below(&me.rng, n);
}

static int any_fd(void)
{
	switch (below(20)) {
	case 0: return -1;
	case 1: return (int)rng_next(&me.rng);
	case 2: return AT_FDCWD;
	default: return me.fd[below(FDS)];
	}
}

/* One that the call may be made on, more often than not. */
static int right_fd(enum kind kind)
{
	if (below(3) == 0)
		return any_fd();
	return kind <= POOL_CREATE ? me.device : me.rig.ch.fd;
}

static int fd_to_attach(enum kind kind)
{
	if (below(3) == 0)
		return any_fd();
	return kind == POOL_ATTACH ? me.rig.pool.fd : me.disk;
}

static void keep_fd(int fd)
{
	unsigned int i = (unsigned int)below(FDS);

	if (fd < 0)
		return;
	close(me.fd[i]);
	me.fd[i] = fd;
}

/* Numbers at the edges of something more often than others. */
static uint64_t number(void)
{
	static const uint64_t edge[] = {
		0, 1, 2, 3, 4, 7, 8, 63, 64, 255, 256, 511, 512, 1023, 1024, 4095, 4096,
		4097, 8192, 16384, 65535, 65536, 1u << 20, 16u << 20, 0x7fffffff,
		0x80000000, 0xffffffff, 1ull << 32, 1ull << 40, INT64_MAX, 1ull << 63,
		UINT64_MAX, UINT64_MAX - 4095,
	};

	switch (below(4)) {
	case 0: return rng_next(&me.rng) >> below(64);
	case 1: return edge[below(array_size(edge))] + below(3) - 1;
	default: return edge[below(array_size(edge))];
	}
}

/* A place for an argument: good memory, its very end, read-only, none. */
static void *place_for(const void *arg, size_t bytes)
{
	char *page = me.map[0].at;	/* two pages; the second has no access */

	switch (below(12)) {
	case 0: return NULL;
	case 1: return (void *)(uintptr_t)number();
	case 2: return page + PAGE - below(bytes + 1);
	case 3:
		/* can be read, and the answer not written */
		memcpy(page, arg, bytes);
		return me.read_only;
	default:
		memcpy(page, arg, bytes);
		return page;
	}
}

static void mutate(void *arg, size_t bytes)
{
	unsigned char *byte = arg;
	unsigned int i, n = below(3) ? 0 : 1 + (unsigned int)below(4);

	for (i = 0; i < n; i++) {
		if (below(2))
			byte[below(bytes)] ^= (unsigned char)(1u << below(8));
		else
			((uint32_t *)arg)[below(bytes / 4)] = (uint32_t)number();
	}
}

/* -------------------------------------------------------------------- ioctls */

union argument {
	uint32_t size;
	struct pirn_query query;
	struct pirn_channel_create channel;
	struct pirn_pool_create pool;
	struct pirn_enter enter;
	struct pirn_target_attach target;
	struct pirn_target_detach target_out;
	struct pirn_pool_attach slot;
	struct pirn_pool_detach slot_out;
	unsigned char bytes[PAGE];
};

static size_t shape(enum kind kind, union argument *a)
{
	switch (kind) {
	case QUERY:
		return sizeof(a->query);
	case CHANNEL_CREATE:
		a->channel.sq_entries = 1u << below(8);
		a->channel.cq_entries = a->channel.sq_entries << below(4);
		a->channel.cpu = (uint32_t)below(4);
		return sizeof(a->channel);
	case POOL_CREATE:
		a->pool.bytes = PAGE * (1 + below(64));
		a->pool.node = (int)below(3) - 1;
		if (below(3) == 0) {
			a->pool.flags = PIRN_POOL_USER;
			a->pool.node = -1;
			a->pool.addr = (uintptr_t)me.map[1 + below(MAPS - 1)].at;
		}
		return sizeof(a->pool);
	case ENTER_UNTIL:
		a->enter.flags = PIRN_ENTER_WAIT;
		a->enter.to_submit = (uint32_t)below(20);
		a->enter.deadline = below(2) ? 1 : clock_ns() + below(2000000);
		return sizeof(a->enter);
	case TARGET_ATTACH:
		a->target.fd = fd_to_attach(kind);
		return sizeof(a->target);
	case POOL_ATTACH:
		a->slot.fd = fd_to_attach(kind);
		return sizeof(a->slot);
	case TARGET_DETACH:
	case POOL_DETACH:
		a->slot_out.index = (uint32_t)below(4);
		return sizeof(a->slot_out);
	default:
		return 64;
	}
}

static int any_ioctl(enum kind kind)
{
	union argument a = { .size = 0 };
	unsigned long word = below(3) ? below(20) | (below(2) << 16) : number();
	size_t bytes;
	int ret;

	if (kind == ENTER || kind == NOTIFY)
		return ioctl(right_fd(kind), command[kind],
			     kind == NOTIFY && below(8) ? 0 : word);
	bytes = shape(kind, &a);
	a.size = below(8) ? (uint32_t)bytes : (uint32_t)number();
	mutate(&a, bytes);
	if (kind == UNKNOWN)
		return ioctl(right_fd(kind), (0xBDul << 8) | (rng_next(&me.rng) & 0xffff00fful),
			     place_for(&a, bytes));
	ret = ioctl(right_fd(kind), command[kind], place_for(&a, bytes));
	if (ret >= 0 && (kind == CHANNEL_CREATE || kind == POOL_CREATE))
		keep_fd(ret);
	return ret;
}

/* -------------------------------------------------------------- other calls */

static int any_mmap(void)
{
	static const int flags[] = { MAP_SHARED, MAP_SHARED, MAP_PRIVATE,
				     MAP_SHARED | MAP_POPULATE, MAP_SHARED | MAP_LOCKED,
				     MAP_SHARED | MAP_NORESERVE, MAP_SHARED_VALIDATE };
	unsigned int i = 1 + (unsigned int)below(MAPS - 1);
	int how = flags[below(array_size(flags))];
	/* A file that is 16 TiB of nothing would be read in for as long as that takes. */
	size_t bytes = below(8) || how & MAP_POPULATE ? PAGE * (1 + below(70)) : number();
	off_t offset = below(3) ? (off_t)(PAGE * below(8)) : (off_t)number();
	bool anonymous = below(4) == 0;
	char *at = mmap(NULL, bytes, (int)below(8),
			how | (anonymous ? MAP_ANONYMOUS : 0),
			anonymous ? -1 : any_fd(), anonymous ? 0 : offset);

	if (at == MAP_FAILED)
		return -1;
	if (me.map[i].at)
		munmap(me.map[i].at, me.map[i].bytes);
	me.map[i].at = at;
	me.map[i].bytes = bytes;
	return 0;
}

static int any_change_of_map(enum kind kind)
{
	static const int advice[] = { MADV_DONTNEED, MADV_REMOVE, MADV_DONTFORK,
				      MADV_DOFORK, MADV_HUGEPAGE, MADV_WILLNEED,
				      MADV_COLD, MADV_PAGEOUT, MADV_MERGEABLE };
	unsigned int i = 1 + (unsigned int)below(MAPS - 1);
	size_t pages = me.map[i].bytes / PAGE, first, n;
	char *at;

	if (!me.map[i].at || !pages) {
		errno = EINVAL;
		return -1;
	}
	first = below(pages);
	n = 1 + below(pages - first);
	at = me.map[i].at + first * PAGE;
	switch (kind) {
	case MUNMAP:
		if (first)
			return munmap(at, n * PAGE);
		at = me.map[i].at;
		me.map[i].at = NULL;
		return munmap(at, me.map[i].bytes);
	case MREMAP:
		at = mremap(me.map[i].at, me.map[i].bytes, PAGE * (1 + below(80)),
			    MREMAP_MAYMOVE);
		if (at == MAP_FAILED)
			return -1;
		/* its new length is not known here: what is known stays inside */
		me.map[i].at = at;
		me.map[i].bytes = PAGE;
		return 0;
	case PROTECT:
		return mprotect(at, n * PAGE, (int)below(8));
	default:
		return madvise(at, n * PAGE, advice[below(array_size(advice))]);
	}
}

static int any_file_op(int fd)
{
	static char buf[4096] __attribute__((aligned(4096)));
	struct stat st;

	switch (below(9)) {
	case 0: return (int)read(fd, buf, 512);
	case 1: return (int)pread(fd, buf, 4096, (off_t)(4096 * below(100)));
	case 2: return (int)pwrite(fd, buf, 4096, (off_t)(4096 * below(100)));
	case 3: return (int)lseek(fd, (off_t)number(), (int)below(5));
	case 4: return fsync(fd);
	case 5: return fallocate(fd, (int)below(4), (off_t)number(), 4096);
	case 6: return fcntl(fd, F_SETFL, below(2) ? O_DIRECT : O_NONBLOCK);
	case 7: return fstat(fd, &st);
	default: return ftruncate(fd, (off_t)number());
	}
}

static int any_poll(void)
{
	struct pollfd p[2] = { { .fd = any_fd(), .events = (short)below(0x2000) },
			       { .fd = any_fd(), .events = POLLIN } };

	return poll(p, 2, 0);
}

/* A child that has the fds but not the mappings, and dies in between. */
static int any_fork(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		enter_until((struct channel *)&me.rig.ch, 1, 0, 0);
		any_ioctl((enum kind)below(IOCTLS));
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -1;
}

static int any_pass(void)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd = any_fd();

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (below(2))
		return (int)sendmsg(me.pair[0], &msg, MSG_DONTWAIT);
	if (recvmsg(me.pair[1], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
		keep_fd(fd);
	}
	return 0;
}

static int any_open(void)
{
	static const char *const path[] = { "/dev/pirn", "/dev/pirn", FAST_DISK, NVME_DISK,
					    "/dev/nullb1", "/dev/null", "/tmp/fuzzed",
				    FUZZED_FILE };
	static const int mode[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	int fd = open(path[below(array_size(path))],
		      mode[below(4)] | (below(4) ? O_DIRECT : 0) | O_CLOEXEC);

	if (fd < 0 && below(2))
		fd = below(2) ? eventfd(0, EFD_NONBLOCK) : epoll_create1(EPOLL_CLOEXEC);
	keep_fd(fd);
	return fd;
}

static int any_fdinfo(void)
{
	char path[64], text[1024];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", any_fd());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = (int)read(fd, text, sizeof(text));
	close(fd);
	return n;
}

/* ---------------------------------------------------------------- the rings */

static void any_sqe(struct pirn_sqe *to)
{
	struct pirn_sqe sqe = {
		.op = (uint8_t)below(PIRN_OP_LAST), .cookie = rng_next(&me.rng),
		.target = below(8) ? 0 : (uint16_t)number(),
		.pool = below(8) ? 0 : (uint16_t)number(),
		.offset = below(8) ? 512 * below(1000) : number(),
		.pool_offset = below(8) ? 512 * below(100) : number(),
		.len = below(8) ? 512 * (1 + (uint32_t)below(100)) : (uint32_t)number(),
	};

	switch (sqe.op) {
	case PIRN_OP_NOP:
	case PIRN_OP_FSYNC:
	case PIRN_OP_FDATASYNC:
		sqe.offset = sqe.pool_offset = sqe.len = sqe.pool = 0;
		break;
	case PIRN_OP_FALLOCATE:
		/* of modes, those that are bits known so far */
		sqe.mode = (uint32_t)below(128);
		/* fall through */
	case PIRN_OP_DISCARD:
		sqe.len = sqe.pool = 0;
		break;
	default:
		break;
	}
	mutate(&sqe, sizeof(sqe));
	memcpy(to, &sqe, sizeof(sqe));
}

/* The rig's own ring: mapped for good, whatever becomes of its fds. */
void scribble(struct rng *rng, unsigned int words)
{
	volatile uint32_t *ring = (volatile uint32_t *)me.rig.ch.ring;
	size_t all = me.rig.ch.bytes / 4;

	while (words--)
		ring[rng_below(rng, 2) ? rng_below(rng, 64) : rng_below(rng, all)] =
			(uint32_t)rng_next(rng) >> rng_below(rng, 32);
}

static int io_well(void)
{
	uint32_t entries = 16, i;	/* what the ring says may be scribbled over */

	for (i = 0; i < entries; i++)
		any_sqe(&me.rig.ch.sq[i]);
	__atomic_store_n(&me.rig.ch.ring->cq_head,
			 __atomic_load_n(&me.rig.ch.ring->cq_tail, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
	return enter(&me.rig.ch, 1 + (uint32_t)below(entries));
}

/* --------------------------------------------------------------- any of them */

static int epoll_any(void)
{
	struct epoll_event event = { .events = EPOLLIN | (below(2) ? EPOLLET : 0) };

	return epoll_ctl(any_fd(), 1 + (int)below(3), any_fd(), &event);
}

static int create_good(void)
{
	struct pirn_pool_create create = { .size = sizeof(create), .node = -1,
					   .bytes = PAGE * (1 + below(32)) };
	int device = open("/dev/pirn", O_RDWR | O_CLOEXEC);
	int fd = ioctl(device, PIRN_IOC_POOL_CREATE, &create);

	close(device);
	keep_fd(fd);
	return fd;
}

int make_call(enum kind kind)
{
	int fd;

	switch (kind) {
	case MMAP: return any_mmap();
	case MUNMAP: case MREMAP: case PROTECT: case ADVISE:
		return any_change_of_map(kind);
	case CLOSE: return close(below(40) ? any_fd() : right_fd(kind));
	case DUP: fd = dup(any_fd()); keep_fd(fd); return fd;
	case FILE_OP: return any_file_op(any_fd());
	case POLL: return any_poll();
	case EPOLL: return epoll_any();
	case FORK: return below(8) ? 0 : any_fork();
	case PASS: return any_pass();
	case REOPEN: return any_open();
	case FDINFO: return any_fdinfo();
	case SQES: any_sqe(&me.rig.ch.sq[below(16)]); return 0;
	case INDICES: scribble(&me.rng, 1); return 0;
	case CREATE_GOOD: return create_good();
	case ATTACH_GOOD:
		return below(2) ? attach_pool_fd(&me.rig.ch, me.rig.pool.fd) :
				  attach_target_fd(&me.rig.ch, me.disk);
	case IO_GOOD: return io_well();
	default: return any_ioctl(kind);
	}
}

static void nothing(int sig)
{
	(void)sig;
}

void calls_prepare(uint64_t seed)
{
	struct itimerval tick = { { 0, 5000 }, { 0, 5000 } };
	struct sigaction act = { .sa_handler = nothing };
	const char *const disk[] = { FAST_DISK, NVME_DISK, "/dev/nullb1", FUZZED_FILE };
	unsigned int i;
	int memory;

	me.rng.state = seed;
	become_user();
	/* ends waits; those that nobody ends otherwise are meant to last */
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	rig_open(&me.rig, 16, 64 * KiB, disk[below(4)]);
	me.device = open_device();
	me.disk = must(open(disk[below(3)], O_RDWR | O_DIRECT | O_CLOEXEC));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, me.pair));
	memory = must(memfd_create("argument", MFD_CLOEXEC));
	must(ftruncate(memory, 2 * PAGE));
	me.map[0].bytes = 2 * PAGE;
	me.map[0].at = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 memory, 0));
	me.read_only = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, memory, 0));
	close(memory);
	must(mprotect(me.map[0].at + PAGE, PAGE, PROT_NONE));
	for (i = 0; i < FDS; i++)
		me.fd[i] = i % 4 < 2 ? open(i % 4 ? "/dev/pirn" : disk[i % 3],
					    O_RDWR | O_DIRECT | O_CLOEXEC) :
				       dup(i % 2 ? me.rig.ch.fd : me.rig.pool.fd);
}

void calls_continue(uint64_t seed)
{
	me.rng.state = seed;
}

enum kind any_kind(void)
{
	return (enum kind)below(KINDS);
}
