// SPDX-License-Identifier: MIT
/*
 * Pools of the caller's own memory: each kind that is taken moves the right
 * bytes and is let go of again, each kind that is not is refused.
 */
#include <linux/memfd.h>
#include <sys/syscall.h>

#include "device.h"

#define BYTES (4 * MiB)

/* Pages pinned since boot and not unpinned. */
static long pinned(void)
{
	unsigned long long acquired = 0, released = 0;
	char line[128];
	FILE *file;

	/* what each CPU still keeps to itself, added up */
	write_text("/proc/sys/vm/stat_refresh", "1");
	file = fopen("/proc/vmstat", "re");
	check(file);
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "nr_foll_pin_acquired %llu", &acquired);
		sscanf(line, "nr_foll_pin_released %llu", &released);
	}
	fclose(file);
	check_op(acquired, >, 0);
	return (long)(acquired - released);
}

static int pool_on(const void *memory, uint64_t bytes, uint32_t *segments)
{
	struct pirn_pool_create arg = {
		.size = sizeof(arg), .flags = PIRN_POOL_USER, .bytes = bytes,
		.addr = (uintptr_t)memory, .node = -1,
	};
	int device = open_device();
	int fd = ioctl(device, PIRN_IOC_POOL_CREATE, &arg), err = errno;

	close(device);
	if (segments)
		*segments = arg.segments;
	errno = err;
	return fd;
}

/*
 * Writes from one half of it and reads into the other. @other, when there is
 * one, is a second mapping of the same memory.
 */
static void use(char *memory, const char *other, uint32_t max_segments)
{
	const size_t half = BYTES / 2;
	struct channel ch;
	struct pirn_sqe sqe;
	uint32_t segments;
	long before;
	int fd;

	/* something must have been pinned for vmstat to tell it */
	fd = must(pool_on(memory, BYTES, &segments));
	close(fd);
	before = pinned();
	fd = must(pool_on(memory, BYTES, &segments));
	check_op(segments, >=, 1);
	check_op(segments, <=, max_segments);
	check_op(pinned() - before, >=, 1);
	must_fail((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
	channel_open(&ch, 4, 4);
	check_eq(attach_pool_fd(&ch, fd), 0);
	attach_disk(&ch, NVME_DISK, O_RDWR);
	fill(memory, half, 0, (uintptr_t)memory);
	sqe = io_sqe(PIRN_OP_WRITE, 0, 0, half);
	check_eq(do_sqe(&ch, &sqe), half);
	memset(memory + half, 0xcc, half);
	sqe = io_sqe(PIRN_OP_READ, 0, half, half);
	check_eq(do_sqe(&ch, &sqe), half);
	check_filled(memory + half, half, 0, (uintptr_t)memory);
	/* a piece across pages, from inside a block of them */
	sqe = io_sqe(PIRN_OP_READ, 512, half + 512, 3 * PAGE);
	memset(memory + half, 0xcc, 5 * PAGE);
	check_eq(do_sqe(&ch, &sqe), 3 * PAGE);
	check_filled(memory + half + 512, 3 * PAGE, 512, (uintptr_t)memory);
	check_eq((uint8_t)memory[half + 511], 0xcc);
	check_eq((uint8_t)memory[half + 512 + 3 * PAGE], 0xcc);
	if (other)
		check_eq(memcmp(memory, other, BYTES), 0);
	channel_close(&ch);
	must(close(fd));
	check_eq(pinned(), before);
}

static char *map(int flags, int fd)
{
	return must(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, fd, 0));
}

TEST(anonymous_memory)
{
	char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	/* a kernel with PREEMPT_RT has none, and says EINVAL */
	if (madvise(memory, BYTES, MADV_NOHUGEPAGE))
		check_eq(errno, EINVAL);
	use(memory, NULL, BYTES / PAGE);
	/* pinned again when it is populated already */
	use(memory, NULL, BYTES / PAGE);
	memory = map(MAP_SHARED | MAP_ANONYMOUS, -1);
	use(memory, NULL, BYTES / PAGE);
}

TEST(transparent_huge_pages)
{
	char *memory = must(mmap(NULL, BYTES + 2 * MiB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	uintptr_t at = ((uintptr_t)memory + 2 * MiB - 1) & ~(uintptr_t)(2 * MiB - 1);
	int fd;

	fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY);
	if (fd < 0)
		skip_case("no transparent huge pages here");
	check_eq(write(fd, "madvise", 7), 7);
	close(fd);
	memory = (char *)at;
	must(madvise(memory, BYTES, MADV_HUGEPAGE));
	memset(memory, 1, BYTES);
	/* each huge page is one piece */
	use(memory, NULL, BYTES / (2 * MiB));
}

TEST(shared_memory_files)
{
	int fd = must(memfd_create("pirn", MFD_CLOEXEC));
	char *memory, *other;

	must(ftruncate(fd, BYTES));
	memory = map(MAP_SHARED, fd);
	other = map(MAP_SHARED, fd);
	/* the device writes to the file's pages, not to a copy of them */
	use(memory, other, BYTES / PAGE);
	munmap(other, BYTES);
	close(fd);
}

TEST(hugetlb_pages)
{
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		skip_case("no hugetlb pages (vm.nr_hugepages)");
	use(memory, NULL, BYTES / (2 * MiB));
	munmap(memory, BYTES);
}

/* Two mappings side by side, of two kinds. */
TEST(a_range_over_two_mappings)
{
	int fd = must(memfd_create("pirn", MFD_CLOEXEC));
	char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	must(ftruncate(fd, BYTES));
	must(mmap(memory + BYTES / 2 + PAGE, MiB, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_FIXED, fd, 0));
	use(memory, NULL, BYTES / PAGE);
}

/* Unmapped by the caller, the memory is still the pool's. */
TEST(memory_stays_while_the_pool_does)
{
	int fd = must(memfd_create("pirn", MFD_CLOEXEC)), pool, round;
	struct pirn_sqe sqe = io_sqe(PIRN_OP_READ, 0, 0, 64 * KiB);
	struct channel ch;
	struct rig rig;
	char *memory;

	rig_open(&rig, 4, 64 * KiB, FAST_DISK);
	fill(rig.pool.memory, 64 * KiB, 0, 9);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 64 * KiB), 64 * KiB);
	rig_close(&rig);

	must(ftruncate(fd, BYTES));
	for (round = 0; round < 2; round++) {
		memory = round ? map(MAP_SHARED, fd) :
			 map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
		pool = must(pool_on(memory, BYTES, NULL));
		munmap(memory, BYTES);
		channel_open(&ch, 4, 4);
		check_eq(attach_pool_fd(&ch, pool), 0);
		close(pool);
		attach_disk(&ch, FAST_DISK, O_RDWR);
		check_eq(do_sqe(&ch, &sqe), 64 * KiB);
		channel_close(&ch);
	}
	memory = map(MAP_SHARED, fd);
	check_filled(memory, 64 * KiB, 0, 9);
	close(fd);
}

static void refused(const void *memory, uint64_t bytes, int error)
{
	long before = pinned();

	must_fail(pool_on(memory, bytes, NULL), error);
	check_eq(pinned(), before);
}

TEST(other_memory_is_refused)
{
	char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1), *file_memory;
	struct pool kernel_pool;
	struct channel ch;
	int fd;

	close_new(pool_on(memory, BYTES, NULL));
	/* of a file system */
	fd = must(open(new_path("file"), O_RDWR | O_CREAT, 0600));
	must(ftruncate(fd, BYTES));
	file_memory = map(MAP_SHARED, fd);
	memset(file_memory, 1, BYTES);
	refused(file_memory, BYTES, EOPNOTSUPP);
	munmap(file_memory, BYTES);
	file_memory = map(MAP_PRIVATE, fd);
	refused(file_memory, BYTES, EOPNOTSUPP);
	/* in the middle of what would be taken */
	must(mmap(memory + MiB, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		  fd, 0));
	refused(memory, BYTES, EOPNOTSUPP);
	close(fd);
	/* read-only, and none at all */
	memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	must(mprotect(memory + 2 * MiB, PAGE, PROT_READ));
	refused(memory, BYTES, EFAULT);
	must(mprotect(memory + 2 * MiB, PAGE, PROT_NONE));
	refused(memory, BYTES, EFAULT);
	must(munmap(memory + 2 * MiB, PAGE));
	refused(memory, BYTES, EFAULT);
	/* a shared one that may only be read */
	fd = must(memfd_create("pirn", MFD_CLOEXEC));
	must(ftruncate(fd, BYTES));
	file_memory = must(mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0));
	refused(file_memory, BYTES, EFAULT);
	/* pirn's own, and past the end of a file */
	channel_open(&ch, 4, 4);
	refused(ch.ring, PAGE, EOPNOTSUPP);
	pool_open(&kernel_pool, BYTES);
	refused(kernel_pool.memory, BYTES, EOPNOTSUPP);
	must(ftruncate(fd, MiB));
	file_memory = map(MAP_SHARED, fd);
	refused(file_memory, BYTES, EFAULT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anonymous_memory),
		cmocka_unit_test(transparent_huge_pages),
		cmocka_unit_test(shared_memory_files),
		cmocka_unit_test(hugetlb_pages),
		cmocka_unit_test(a_range_over_two_mappings),
		cmocka_unit_test(memory_stays_while_the_pool_does),
		cmocka_unit_test(other_memory_is_refused),
	};

	return run_program(argc, argv, "pool_user", tests, array_size(tests));
}
