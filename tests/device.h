/* SPDX-License-Identifier: MIT */
/*
 * For the programs that speak to /dev/pirn themselves: channels, pools, targets
 * and block devices that are slow on purpose. All of it runs as root in a
 * virtual machine; see tests/vm/suite.
 */
#ifndef PIRN_TESTS_DEVICE_H
#define PIRN_TESTS_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/pirn.h>

#include "helpers.h"

#define PAGE 4096ul
/* A disk in memory that keeps what is written, and a disk with interrupts. */
#define FAST_DISK "/dev/nullb0"
#define NVME_DISK "/dev/nvme0n1"

static inline int open_device(void)
{
	return must(open("/dev/pirn", O_RDWR | O_CLOEXEC));
}

/* What a call returned must be an fd, and is not needed further. */
static inline void close_new(int fd)
{
	must(fd);
	must(close(fd));
}

/* ---------------------------------------------------------------- channels */

struct channel {
	int fd;
	struct pirn_ring_header *ring;
	struct pirn_sqe *sq;
	struct pirn_cqe *cq;
	struct pirn_cqe *results;
	uint32_t sq_tail;
	uint32_t cq_head;
	size_t bytes;
};

/* The rings of ch->fd. */
static inline void channel_map(struct channel *ch, size_t bytes)
{
	ch->bytes = bytes;
	ch->ring = must(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ch->fd, 0));
	ch->sq = (void *)((char *)ch->ring + ch->ring->sq_offset);
	ch->cq = (void *)((char *)ch->ring + ch->ring->cq_offset);
	ch->results = (void *)((char *)ch->ring + ch->ring->results_offset);
	ch->sq_tail = 0;
	ch->cq_head = 0;
}

/* @arg but for its size. */
static inline void channel_open_as(struct channel *ch,
				   const struct pirn_channel_create *arg)
{
	struct pirn_channel_create create = *arg;
	int device = open_device();

	create.size = sizeof(create);
	ch->fd = must(ioctl(device, PIRN_IOC_CHANNEL_CREATE, &create));
	close(device);
	channel_map(ch, create.mmap_bytes);
}

static inline void channel_open_on(struct channel *ch, uint32_t sq, uint32_t cq,
				   uint32_t cpu)
{
	struct pirn_channel_create create = {
		.sq_entries = sq, .cq_entries = cq, .cpu = cpu,
	};

	channel_open_as(ch, &create);
}

static inline void channel_open(struct channel *ch, uint32_t sq, uint32_t cq)
{
	channel_open_on(ch, sq, cq, 0);
}

static inline void channel_close(struct channel *ch)
{
	must(munmap(ch->ring, ch->bytes));
	must(close(ch->fd));
}

/* The next SQE, zeroed. */
static inline struct pirn_sqe *next_sqe(struct channel *ch)
{
	struct pirn_sqe *sqe;

	sqe = &ch->sq[ch->sq_tail++ & (ch->ring->sq_entries - 1)];
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static inline int enter(struct channel *ch, uint32_t word)
{
	return ioctl(ch->fd, PIRN_IOC_ENTER, (unsigned long)word);
}

static inline int enter_until(struct channel *ch, uint32_t count, uint32_t flags,
			      uint64_t deadline)
{
	struct pirn_enter arg = {
		.size = sizeof(arg), .flags = flags, .to_submit = count,
		.deadline = deadline,
	};

	return ioctl(ch->fd, PIRN_IOC_ENTER_UNTIL, &arg);
}

static inline uint32_t cq_tail(const struct channel *ch)
{
	return __atomic_load_n(&ch->ring->cq_tail, __ATOMIC_ACQUIRE);
}

static inline uint32_t cq_ready(const struct channel *ch)
{
	return cq_tail(ch) - ch->cq_head;
}

/* Takes the oldest CQE; there is one. */
static inline struct pirn_cqe take_any_cqe(struct channel *ch)
{
	struct pirn_cqe cqe;

	check_op(cq_ready(ch), >, 0);
	cqe = ch->cq[ch->cq_head++ & (ch->ring->cq_entries - 1)];
	__atomic_store_n(&ch->ring->cq_head, ch->cq_head, __ATOMIC_RELEASE);
	return cqe;
}

/* The same of an op that is in no join, on a channel without times. */
static inline struct pirn_cqe take_cqe(struct channel *ch)
{
	struct pirn_cqe cqe = take_any_cqe(ch);

	check_eq(cqe.flags, 0);
	check_eq(cqe.device | cqe.published, 0);
	return cqe;
}

/* Waits until @n CQEs are there. */
static inline void await_cqes(struct channel *ch, uint32_t n)
{
	while (cq_ready(ch) < n) {
		if (!cq_ready(ch))
			check_eq(enter(ch, PIRN_ENTER_WAIT), 0);
		else
			nap_ms(1);
	}
}

/* Submits *@sqe alone on an idle channel; what its one CQE says. */
static inline int do_sqe(struct channel *ch, const struct pirn_sqe *sqe)
{
	static uint64_t cookie = 0x1234567800000000u;
	struct pirn_sqe *slot = next_sqe(ch);
	struct pirn_cqe cqe;

	check_eq(cq_ready(ch), 0);
	*slot = *sqe;
	slot->cookie = ++cookie;
	check_eq(enter(ch, 1 | PIRN_ENTER_WAIT), 1);
	await_cqes(ch, 1);
	/* consumed: it may be overwritten, and is */
	memset(slot, 0xff, sizeof(*slot));
	cqe = take_cqe(ch);
	check_eq(cqe.cookie, cookie);
	check_eq(cq_ready(ch), 0);
	return cqe.res;
}

/* ----------------------------------------------------------- pools, targets */

struct pool {
	int fd;
	char *memory;
	size_t bytes;
};

static inline int pool_create(const struct pirn_pool_create *arg)
{
	struct pirn_pool_create create = *arg;
	int device = open_device(), fd, err;

	create.size = sizeof(create);
	fd = ioctl(device, PIRN_IOC_POOL_CREATE, &create);
	err = errno;
	if (fd >= 0)
		check(create.segments >= 1 && create.segments <= create.bytes / PAGE);
	close(device);
	errno = err;
	return fd;
}

static inline void pool_open(struct pool *pool, size_t bytes)
{
	struct pirn_pool_create create = { .bytes = bytes, .node = -1 };

	pool->fd = must(pool_create(&create));
	pool->bytes = bytes;
	pool->memory = must(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
				 pool->fd, 0));
}

static inline void pool_close(struct pool *pool)
{
	must(munmap(pool->memory, pool->bytes));
	must(close(pool->fd));
}

static inline int attach_pool_fd(struct channel *ch, int fd)
{
	struct pirn_pool_attach arg = { .size = sizeof(arg), .fd = fd };

	return ioctl(ch->fd, PIRN_IOC_POOL_ATTACH, &arg) ? -1 : (int)arg.index;
}

static inline int attach_target_fd(struct channel *ch, int fd)
{
	struct pirn_target_attach arg = { .size = sizeof(arg), .fd = fd };

	return ioctl(ch->fd, PIRN_IOC_TARGET_ATTACH, &arg) ? -1 : (int)arg.index;
}

static inline int attach_disk(struct channel *ch, const char *path, int flags)
{
	int fd = must(open(path, flags | O_DIRECT | O_CLOEXEC)), index;

	index = must(attach_target_fd(ch, fd));
	close(fd);
	return index;
}

static inline int detach_target(struct channel *ch, uint32_t index)
{
	struct pirn_target_detach arg = { .size = sizeof(arg), .index = index };

	return ioctl(ch->fd, PIRN_IOC_TARGET_DETACH, &arg);
}

static inline int detach_pool(struct channel *ch, uint32_t index)
{
	struct pirn_pool_detach arg = { .size = sizeof(arg), .index = index };

	return ioctl(ch->fd, PIRN_IOC_POOL_DETACH, &arg);
}

/* A channel, a pool and a disk that belong together: target 0, pool 0. */
struct rig {
	struct channel ch;
	struct pool pool;
};

static inline void rig_open(struct rig *rig, uint32_t entries, size_t pool_bytes,
			    const char *disk)
{
	channel_open(&rig->ch, entries, entries);
	pool_open(&rig->pool, pool_bytes);
	check_eq(must(attach_pool_fd(&rig->ch, rig->pool.fd)), 0);
	check_eq(attach_disk(&rig->ch, disk, O_RDWR), 0);
}

static inline void rig_close(struct rig *rig)
{
	channel_close(&rig->ch);
	pool_close(&rig->pool);
}

static inline struct pirn_sqe io_sqe(int op, uint64_t offset, uint64_t pool_offset,
				     uint32_t len)
{
	return (struct pirn_sqe){ .op = (uint8_t)op, .offset = offset,
				  .pool_offset = pool_offset, .len = len };
}

static inline int rig_io(struct rig *rig, int op, uint64_t offset,
			 uint64_t pool_offset, uint32_t len)
{
	struct pirn_sqe sqe = io_sqe(op, offset, pool_offset, len);

	return do_sqe(&rig->ch, &sqe);
}

/* ------------------------------------------------------------ small helpers */

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		check_failed(__FILE__, __LINE__, "writing %s to %s: %s", text, path,
			     strerror(errno));
	close(fd);
}

static inline unsigned long long read_number(const char *path)
{
	char text[64] = "", *end;
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	unsigned long long value;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	check_op(n, >, 1);
	value = strtoull(text, &end, 10);
	/* one value a file */
	check(end != text && strcmp(end, "\n") == 0);
	return value;
}

static inline unsigned long long cpu_counter(unsigned int cpu, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/misc/pirn/cpu%u/%s", cpu, name);
	return read_number(path);
}

static inline unsigned long long ops_in_flight(void)
{
	unsigned long long sum = 0;
	long cpu, cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (cpu = 0; cpu < cpus; cpu++)
		sum += cpu_counter((unsigned int)cpu, "in_flight");
	return sum;
}

/* Bounded, and generously: a hung op must fail here and not hang the case. */
static inline void await_no_ops(void)
{
	unsigned int i;

	for (i = 0; ops_in_flight() && i < 1200; i++)
		nap_ms(50);
	check_eq(ops_in_flight(), 0);
}

static inline unsigned int open_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/*
 * A disk in memory of 64 MiB, /dev/nullbN with N = @index, that answers each
 * request from a timer after @ns.
 */
static inline void slow_disk(unsigned int index, uint64_t ns, char path[32])
{
	const char *top = "/sys/kernel/config/nullb";
	char dir[64], file[96], value[32];
	const struct {
		const char *name;
		const char *value;
	} settings[] = {
		{ "size", "64" },		{ "memory_backed", "1" },
		{ "irqmode", "2" },		{ "queue_mode", "2" },
		{ "submit_queues", "4" },	{ "hw_queue_depth", "64" },
		{ "completion_nsec", value },	{ "power", "1" },
	};
	size_t i;

	if (access(top, F_OK))
		must(mount("none", "/sys/kernel/config", "configfs", 0, NULL));
	snprintf(value, sizeof(value), "%llu", (unsigned long long)ns);
	snprintf(dir, sizeof(dir), "%s/nullb%u", top, index);
	snprintf(path, 32, "/dev/nullb%u", index);
	if (!access(dir, F_OK)) {
		snprintf(file, sizeof(file), "%s/power", dir);
		write_text(file, "0");
	} else {
		must(mkdir(dir, 0755));
	}
	for (i = 0; i < array_size(settings); i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, settings[i].name);
		write_text(file, settings[i].value);
	}
	for (i = 0; access(path, F_OK) && i < 100; i++)
		nap_ms(50);
	must(access(path, F_OK));
}

/* null_blk parameters that slow_disk() does not set */
static inline void special_disk(unsigned int index, const char *name,
				const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/config/nullb/nullb%u/power", index);
	write_text(path, "0");
	snprintf(path, sizeof(path), "/sys/kernel/config/nullb/nullb%u/%s", index,
		 name);
	write_text(path, value);
	snprintf(path, sizeof(path), "/sys/kernel/config/nullb/nullb%u/power", index);
	write_text(path, "1");
	nap_ms(200);
}

#endif /* PIRN_TESTS_DEVICE_H */
