// SPDX-License-Identifier: MIT
/*
 * What one device, one channel or one process does must not be felt by others:
 * neither a device that hangs, nor memory that is held and not charged for.
 */
#include <sched.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "device.h"


/* A slow_disk() with another queue depth. */
static void slow_disk_deep(unsigned int index, uint64_t ns, const char *depth,
			   char path[32])
{
	char file[96];

	slow_disk(index, ns, path);
	snprintf(file, sizeof(file), "/sys/kernel/config/nullb/nullb%u/power", index);
	write_text(file, "0");
	snprintf(file, sizeof(file),
		 "/sys/kernel/config/nullb/nullb%u/submit_queues", index);
	write_text(file, "1");
	snprintf(file, sizeof(file),
		 "/sys/kernel/config/nullb/nullb%u/hw_queue_depth", index);
	write_text(file, depth);
	snprintf(file, sizeof(file), "/sys/kernel/config/nullb/nullb%u/power", index);
	write_text(file, "1");
	nap_ms(300);
}

static void put(struct channel *ch, int target, uint64_t offset, uint64_t cookie)
{
	struct pirn_sqe *sqe = next_sqe(ch);

	*sqe = io_sqe(PIRN_OP_READ, offset, 0, 4096);
	sqe->target = (uint16_t)target;
	sqe->cookie = cookie;
}

/*
 * The slow disk has one tag: the second read of it finds none. What is queued
 * behind for a disk that is idle goes out all the same, and comes first.
 */
TEST(a_full_disk_does_not_stop_another)
{
	struct rig rig;
	char path[32];
	int slow;

	slow_disk_deep(5, 2000000000ull, "1", path);
	rig_open(&rig, 8, MiB, FAST_DISK);
	slow = attach_disk(&rig.ch, path, O_RDONLY);
	/* one of the other disk in flight, so that a CQE of it would come */
	put(&rig.ch, slow, 0, 1);
	put(&rig.ch, 0, 0, 2);
	put(&rig.ch, slow, 65536, 3);
	put(&rig.ch, 0, 4096, 4);
	check_eq(enter(&rig.ch, 4), 4);
	await_cqes(&rig.ch, 2);
	check_eq(take_cqe(&rig.ch).cookie, 2);
	check_eq(take_cqe(&rig.ch).cookie, 4);
	await_cqes(&rig.ch, 2);
	check_eq(take_cqe(&rig.ch).res, 4096);
	check_eq(take_cqe(&rig.ch).res, 4096);
	rig_close(&rig);
}

#define STUCK 600

/*
 * So many ops of one channel wait in its worker for a slow disk that no more
 * could run at a time; another channel's that needs a worker is not behind them.
 */
TEST(a_slow_disk_does_not_stop_other_channels_workers)
{
	struct rig slow, fast;
	cpu_set_t set;
	unsigned int i;
	char path[32];
	int fd;

	/* a worker's limit holds for each NUMA node */
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
	slow_disk_deep(6, 4000000000ull, "1024", path);
	rig_open(&slow, 1024, MiB, path);
	rig_open(&fast, 8, MiB, FAST_DISK);
	/* a cached page sends an op to the worker */
	fd = must(open(path, O_RDONLY));
	check_eq(pread(fd, slow.pool.memory, 4096, 0), 4096);
	for (i = 0; i < STUCK; i++)
		put(&slow.ch, 0, 0, i);
	check_eq(enter(&slow.ch, STUCK), STUCK);
	close(fd);
	fd = must(open(FAST_DISK, O_RDONLY));
	check_eq(pread(fd, fast.pool.memory, 4096, 0), 4096);
	check_eq(rig_io(&fast, PIRN_OP_READ, 0, 0, 4096), 4096);
	check_eq(cq_ready(&slow.ch), 0);
	close(fd);
	for (i = 0; i < STUCK; i++) {
		await_cqes(&slow.ch, 1);
		check_eq(take_cqe(&slow.ch).res, 4096);
	}
	rig_close(&fast);
	rig_close(&slow);
}

static void limit_and_drop(unsigned long bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

	must(setrlimit(RLIMIT_MEMLOCK, &limit));
	must(setgid(65534));
	must(setuid(65534));
}

static void in_child(void (*fn)(int device))
{
	int device = open_device(), status;
	pid_t pid = fork();

	must(pid);
	if (!pid) {
		fn(device);
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	check_eq(status, 0);
	close(device);
}

/* Each pool names 4 KiB of a huge page, and holds all of it. */
static void small_pools(int device)
{
	struct pirn_pool_create create = {
		.size = sizeof(create), .flags = PIRN_POOL_USER, .node = -1,
		.bytes = 4096,
	};
	unsigned int i, made = 0;

	limit_and_drop(8 * MiB);
	for (i = 0; i < 8; i++) {
		char *huge = mmap(NULL, 2 * MiB, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

		if (huge == MAP_FAILED)
			_exit(77);
		huge[0] = 1;
		create.addr = (uintptr_t)huge;
		if (ioctl(device, PIRN_IOC_POOL_CREATE, &create) >= 0)
			made++;
		else if (errno != ENOMEM)
			_exit(1);
	}
	_exit(made == 4 ? 0 : 2);
}

TEST(a_part_of_a_huge_page_is_charged_as_the_whole)
{
	in_child(small_pools);
}

static unsigned long available_mib(void)
{
	char line[128];
	unsigned long kib = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	check(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return kib / 1024;
}

/* A reference to one byte of a pool that is gone keeps a page, not a piece. */
static void keep_bytes(int device)
{
	unsigned long before, after;
	unsigned int i;

	limit_and_drop(8 * MiB);
	before = available_mib();
	for (i = 0; i < 50; i++) {
		struct pirn_pool_create create = {
			.size = sizeof(create), .node = -1, .bytes = 4 * MiB,
		};
		int fd = ioctl(device, PIRN_IOC_POOL_CREATE, &create), ends[2];
		struct iovec byte = { .iov_len = 1 };

		if (fd < 0 || pipe(ends))
			_exit(1);
		byte.iov_base = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE,
				     MAP_SHARED, fd, 0);
		if (byte.iov_base == MAP_FAILED ||
		    vmsplice(ends[1], &byte, 1, 0) != 1)
			_exit(2);
		munmap(byte.iov_base, 4 * MiB);
		close(fd);
	}
	after = available_mib();
	/* 200 MiB if each reference kept its 4 MiB */
	_exit(before < after + 60 ? 0 : 3);
}

TEST(a_reference_to_a_byte_does_not_keep_a_pool)
{
	in_child(keep_bytes);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk_does_not_stop_another),
		cmocka_unit_test(a_slow_disk_does_not_stop_other_channels_workers),
		cmocka_unit_test(a_part_of_a_huge_page_is_charged_as_the_whole),
		cmocka_unit_test(a_reference_to_a_byte_does_not_keep_a_pool),
	};

	return run_program(argc, argv, "isolation", tests, array_size(tests));
}
