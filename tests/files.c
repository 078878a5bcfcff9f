// SPDX-License-Identifier: MIT
/*
 * Targets that are regular files, loop and zoned devices: what is taken, what is
 * read and written, and that others who use the file see it.
 */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <time.h>

#include "files.h"

#define POOL (4 * MiB)
#define FILE_BYTES (2 * MiB)

/* -------------------------------------------------------------- what is taken */

static void takes(void)
{
	struct pirn_target_attach arg = { .size = sizeof(arg) };
	struct channel ch;
	int fd;

	channel_open(&ch, 4, 4);
	close(file_filled(fs_path("file"), FILE_BYTES));
	fd = must(open(fs_path("file"), O_RDWR));
	must_fail(attach_target_fd(&ch, fd), EINVAL);
	must(fcntl(fd, F_SETFL, O_DIRECT));
	arg.fd = fd;
	must(ioctl(ch.fd, PIRN_IOC_TARGET_ATTACH, &arg));
	check_eq(arg.index, 0);
	check_eq(arg.bytes, FILE_BYTES);
	check_eq(arg.block_bytes, 512);
	check_eq(arg.memory_align, 512);
	close(fd);
	/* one that lies in its inode has no direct IO, until it grows */
	fd = must(open(fs_path("small"), O_RDWR | O_CREAT, 0600));
	check_eq(write(fd, "small", 5), 5);
	must(fcntl(fd, F_SETFL, O_DIRECT));
	if (!strcmp(fs->name, "ext4")) {
		must_fail(attach_target_fd(&ch, fd), EOPNOTSUPP);
		must(ftruncate(fd, MiB));
	}
	check_eq(must(attach_target_fd(&ch, fd)), 1);
	close(fd);
	fd = must(open(fs->dir, O_RDONLY | O_DIRECTORY));
	must_fail(attach_target_fd(&ch, fd), EOPNOTSUPP);
	close(fd);
	must(detach_target(&ch, 0));
	channel_close(&ch);
}

TEST(a_target_is_a_file_with_direct_io)
{
	struct channel ch;
	int fd;

	ON_EACH_FS(takes);
	/* until 6.6 it cannot be opened so at all */
	channel_open(&ch, 4, 4);
	fd = open("/dev/shm/pirn", O_RDWR | O_CREAT | O_DIRECT, 0600);
	if (fd >= 0)
		must_fail(attach_target_fd(&ch, fd), EOPNOTSUPP);
	else
		check_eq(errno, EINVAL);
	close(fd);
	unlink("/dev/shm/pirn");
	channel_close(&ch);
}

/* -------------------------------------------------------------- reads, writes */

static void transfers(void)
{
	struct rig rig;
	char *p;
	int fd;

	fd = file_filled(fs_path("file"), FILE_BYTES);
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	p = rig.pool.memory;
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, FILE_BYTES), FILE_BYTES);
	check_filled(p, FILE_BYTES, 0, 1);
	/* crosses runs of the pool and pages */
	check_eq(rig_io(&rig, PIRN_OP_READ, 512, 3584, 300 * KiB), 300 * KiB);
	check_filled(p + 3584, 300 * KiB, 512, 1);
	/* the end clips, and has nothing behind it */
	check_eq(rig_io(&rig, PIRN_OP_READ, FILE_BYTES - 512, 0, 4096), 512);
	check_eq(rig_io(&rig, PIRN_OP_READ, FILE_BYTES, 0, 4096), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, 1ull << 40, 0, 4096), 0);
	/* over what is there, past the end, and leaving a hole */
	fill(p, 64 * KiB, 4096, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 4096, 0, 64 * KiB), 64 * KiB);
	fill(p, 64 * KiB, FILE_BYTES - 4096, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, FILE_BYTES - 4096, 0, 64 * KiB),
		 64 * KiB);
	fill(p, 4096, 8 * MiB, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 8 * MiB, 0, 4096), 4096);
	memset(p, 0xaa, MiB);
	check_eq(rig_io(&rig, PIRN_OP_READ, 4 * MiB, 0, MiB), MiB);
	check(!p[0] && !memcmp(p, p + 1, MiB - 1));
	check_eq(rig_io(&rig, PIRN_OP_READ, 8 * MiB, 0, 4096), 4096);
	check_filled(p, 4096, 8 * MiB, 2);
	check_eq(rig_io(&rig, PIRN_OP_READ, 4096, 0, 64 * KiB), 64 * KiB);
	check_filled(p, 64 * KiB, 4096, 2);
	check_eq(lseek(fd, 0, SEEK_END), 8 * MiB + 4096);
	close(fd);
	rig_close(&rig);
}

TEST(reads_and_writes)
{
	ON_EACH_FS(transfers);
}

/* Memory that is not contiguous: IO that begins inside a page and crosses others. */
static void in_pieces(void)
{
	struct pirn_pool_create create = {
		.size = sizeof(create), .flags = PIRN_POOL_USER,
		.bytes = 256 * KiB, .node = -1,
	};
	const size_t page = 4096;
	int device = open_device();
	struct rig rig;
	char *p = must(mmap(NULL, create.bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	madvise(p, create.bytes, MADV_NOHUGEPAGE);
	/* the last one first, so that few lie behind the one before */
	for (size_t i = create.bytes; i; i -= page)
		p[i - page] = 1;
	create.addr = (uintptr_t)p;
	channel_open(&rig.ch, 4, 4);
	rig.pool = (struct pool){ .memory = p, .bytes = create.bytes };
	rig.pool.fd = must(ioctl(device, PIRN_IOC_POOL_CREATE, &create));
	close(device);
	check_op(create.segments, >, 32);
	check_eq(must(attach_pool_fd(&rig.ch, rig.pool.fd)), 0);
	close(file_filled(fs_path("file"), 64 * KiB));
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_RDWR), 0);
	memset(p, 0xaa, create.bytes);
	check_eq(rig_io(&rig, PIRN_OP_READ, 512, 3 * page + 512, 5 * page), 5 * page);
	check_filled(p + 3 * page + 512, 5 * page, 512, 1);
	check_eq((uint8_t)p[3 * page + 511], 0xaa);
	check_eq((uint8_t)p[8 * page + 512], 0xaa);
	fill(p + 9 * page + 1024, 3 * page, 8192, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 8192, 9 * page + 1024, 3 * page), 3 * page);
	check_eq(rig_io(&rig, PIRN_OP_READ, 8192, 0, 3 * page), 3 * page);
	check_filled(p, 3 * page, 8192, 2);
	rig_close(&rig);
}

TEST(memory_in_pieces)
{
	ON_EACH_FS(in_pieces);
}

static void wrong_fields(void)
{
	static const struct {
		uint64_t offset, pool_offset;
		uint32_t len;
		int res;
	} wrong[] = {
		{ 0, 0, 0, -EINVAL },
		{ 0, 0, 511, -EINVAL },
		{ 256, 0, 512, -EINVAL },
		{ 0, 1, 512, -EINVAL },
		{ 0, 256, 512, -EINVAL },
		{ 1ull << 63, 0, 512, -EINVAL },
		{ ~511ull, 0, 512, -EINVAL },
		{ 0, 0, PIRN_MAX_IO_BYTES + 512, -EINVAL },
		{ 0, POOL, 512, -EFAULT },
		{ 0, POOL - 512, 1024, -EFAULT },
		{ 0, ~511ull, 1024, -EFAULT },
	};
	struct rig rig;
	struct pirn_sqe sqe;
	size_t i;
	int op;

	close(file_filled(fs_path("file"), FILE_BYTES));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	for (i = 0; i < array_size(wrong); i++)
		for (op = PIRN_OP_READ; op <= PIRN_OP_WRITE; op++)
			check_eq(rig_io(&rig, op, wrong[i].offset,
					wrong[i].pool_offset, wrong[i].len),
				 wrong[i].res);
	sqe = io_sqe(PIRN_OP_DISCARD, 0, 4096, 0);
	check_eq(do_sqe(&rig.ch, &sqe), -EOPNOTSUPP);
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_RDONLY), 1);
	check_eq(attach_disk(&rig.ch, fs_path("file"), O_WRONLY), 2);
	sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 512);
	sqe.target = 1;
	check_eq(do_sqe(&rig.ch, &sqe), -EBADF);
	sqe = (struct pirn_sqe){ .op = PIRN_OP_FALLOCATE, .target = 1 };
	sqe.bytes = 4096;
	check_eq(do_sqe(&rig.ch, &sqe), -EBADF);
	sqe = io_sqe(PIRN_OP_READ, 0, 0, 512);
	sqe.target = 2;
	check_eq(do_sqe(&rig.ch, &sqe), -EBADF);
	/* nothing was touched */
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, FILE_BYTES), FILE_BYTES);
	check_filled(rig.pool.memory, FILE_BYTES, 0, 1);
	rig_close(&rig);
}

TEST(wrong_fields_are_told_and_touch_nothing)
{
	ON_EACH_FS(wrong_fields);
}

/* ---------------------------------------------------------------- coherence */

static void coherent(void)
{
	char *buf = malloc(64 * KiB);
	struct rig rig;
	char *map;
	int fd;

	check(buf);
	fd = file_filled(fs_path("file"), FILE_BYTES);
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	/* cached and clean: a write of ours is seen through them */
	check_eq(pread(fd, buf, 64 * KiB, 0), 64 * KiB);
	fill(rig.pool.memory, 64 * KiB, 0, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 64 * KiB), 64 * KiB);
	check_eq(pread(fd, buf, 64 * KiB, 0), 64 * KiB);
	check_filled(buf, 64 * KiB, 0, 2);
	/* cached and dirty: a read of ours has it, and so has who wrote last */
	fill(buf, 64 * KiB, 128 * KiB, 3);
	check_eq(pwrite(fd, buf, 64 * KiB, 128 * KiB), 64 * KiB);
	check_eq(rig_io(&rig, PIRN_OP_READ, 128 * KiB, 0, 64 * KiB), 64 * KiB);
	check_filled(rig.pool.memory, 64 * KiB, 128 * KiB, 3);
	check_eq(pwrite(fd, buf, 64 * KiB, 128 * KiB), 64 * KiB);
	fill(rig.pool.memory, 64 * KiB, 128 * KiB, 4);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 128 * KiB, 0, 64 * KiB), 64 * KiB);
	must(fsync(fd));
	check_eq(pread(fd, buf, 64 * KiB, 128 * KiB), 64 * KiB);
	check_filled(buf, 64 * KiB, 128 * KiB, 4);
	/* the same through a mapping */
	map = must(mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	fill(map + MiB, 64 * KiB, MiB, 5);
	check_eq(rig_io(&rig, PIRN_OP_READ, MiB, 0, 64 * KiB), 64 * KiB);
	check_filled(rig.pool.memory, 64 * KiB, MiB, 5);
	fill(rig.pool.memory, 64 * KiB, MiB, 6);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB, 0, 64 * KiB), 64 * KiB);
	check_filled(map + MiB, 64 * KiB, MiB, 6);
	/* what is cut off is not there for us either */
	must(munmap(map, FILE_BYTES));
	must(ftruncate(fd, MiB));
	check_eq(rig_io(&rig, PIRN_OP_READ, MiB, 0, 4096), 0);
	close(fd);
	free(buf);
	rig_close(&rig);
}

TEST(coherent_with_buffered_readers_and_writers)
{
	ON_EACH_FS(coherent);
}

/* ------------------------------------------------------------ who does it */

static void inline_and_worker(void)
{
	unsigned long long punts, n;
	struct timespec tick;
	struct rig rig;
	uint64_t began;

	must(clock_getres(CLOCK_REALTIME_COARSE, &tick));
	close(file_filled(fs_path("file"), FILE_BYTES));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	punts = cpu_counter(0, "worker_punts");
	for (n = 0; n < 32; n++)
		check_eq(rig_io(&rig, PIRN_OP_READ, n * 4096, 0, 4096), 4096);
	check_eq(cpu_counter(0, "worker_punts"), punts);
	/* but a few, as the first, which looks for suid bits, and one a tick, for mtime */
	began = clock_ns();
	for (n = 0; n < 32; n++)
		check_eq(rig_io(&rig, PIRN_OP_WRITE, n * 4096, 0, 4096), 4096);
	check_op(cpu_counter(0, "worker_punts") - punts, <=,
		 4 + (clock_ns() - began) / (uint64_t)tick.tv_nsec);
	punts = cpu_counter(0, "worker_punts");
	/* blocks have to be found for it */
	check_eq(rig_io(&rig, PIRN_OP_WRITE, FILE_BYTES, 0, 4096), 4096);
	check_eq(cpu_counter(0, "worker_punts"), punts + 1);
	check_eq(rig_sync(&rig, PIRN_OP_FSYNC), 0);
	check_eq(rig_sync(&rig, PIRN_OP_FDATASYNC), 0);
	check_eq(cpu_counter(0, "worker_punts"), punts + 3);
	rig_close(&rig);
}

TEST(overwrites_and_reads_need_no_worker)
{
	ON_EACH_FS(inline_and_worker);
}

/* Requests for a flush that the disk has had. */
static unsigned long long flushes(void)
{
	unsigned long long n = 0;
	FILE *f = fopen("/sys/block/nvme0n1/stat", "re");
	int i;

	check(f);
	for (i = 0; i < 16; i++)
		check_eq(fscanf(f, "%llu", &n), 1);
	fclose(f);
	return n;
}

static void durable(void)
{
	static const uint8_t syncs[] = { PIRN_OP_FSYNC, PIRN_OP_FDATASYNC };
	unsigned long long before;
	struct rig rig;
	size_t i;

	close(file_filled(fs_path("file"), FILE_BYTES));
	file_rig(&rig, fs_path("file"), O_RDWR, POOL);
	for (i = 0; i < array_size(syncs); i++) {
		check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 4096), 4096);
		before = flushes();
		check_eq(rig_sync(&rig, syncs[i]), 0);
		check_op(flushes(), >, before);
	}
	/* an overwrite may be durable by itself (FUA); what allocates is not */
	before = flushes();
	check_eq(rig_flags(&rig, PIRN_OP_WRITE, FILE_BYTES, 0, 4096,
			   PIRN_SQE_DSYNC), 4096);
	check_op(flushes(), >, before);
	rig_close(&rig);
}

TEST(syncs_and_durable_writes_flush_the_disk)
{
	ON_EACH_FS(durable);
}

/* ----------------------------------------------------------------- fallocate */

static uint64_t blocks_of(const char *path)
{
	struct stat st;

	must(stat(path, &st));
	return (uint64_t)st.st_blocks * 512;
}

static bool zeroes(const char *p, size_t bytes)
{
	return !p[0] && !memcmp(p, p + 1, bytes - 1);
}

static void allocates(void)
{
	const char *path = fs_path("file");
	struct rig rig;
	struct stat st;
	char *p;

	close(file_filled(path, FILE_BYTES));
	file_rig(&rig, path, O_RDWR, POOL);
	p = rig.pool.memory;
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, FILE_BYTES, MiB, 0), 0);
	must(stat(path, &st));
	check_eq(st.st_size, FILE_BYTES + MiB);
	check_op(blocks_of(path), >=, FILE_BYTES + MiB);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 4 * MiB, MiB,
			   FALLOC_FL_KEEP_SIZE), 0);
	must(stat(path, &st));
	check_eq(st.st_size, FILE_BYTES + MiB);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, MiB,
			   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0);
	check_op(blocks_of(path), <=, FILE_BYTES + MiB + 64 * KiB);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, MiB), MiB);
	check(zeroes(p, MiB));
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, MiB, 64 * KiB,
			   FALLOC_FL_ZERO_RANGE), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, MiB, 0, 128 * KiB), 128 * KiB);
	check(zeroes(p, 64 * KiB));
	check_filled(p + 64 * KiB, 64 * KiB, MiB + 64 * KiB, 1);
	/* what fallocate() refuses */
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 0, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 1ull << 63, 512, 0), -EFBIG);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 512, ~0ull, 0), -EFBIG);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 4096, 1u << 31), -EOPNOTSUPP);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 4096,
			   FALLOC_FL_PUNCH_HOLE), -EOPNOTSUPP);
	rig_close(&rig);
}

TEST(fallocate_in_its_modes)
{
	ON_EACH_FS(allocates);
}

/* ----------------------------------------------------------------- devices */

/* A loop device on a file of @bytes; its number in path. */
static int loop_open(const char *path, char device[32])
{
	struct loop_config config = { 0 };
	int control, n, fd;

	shell("modprobe loop");
	control = must(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
	n = must(ioctl(control, LOOP_CTL_GET_FREE));
	close(control);
	snprintf(device, 32, "/dev/loop%d", n);
	fd = must(open(device, O_RDWR | O_CLOEXEC));
	config.fd = (__u32)must(open(path, O_RDWR | O_CLOEXEC));
	must(ioctl(fd, LOOP_CONFIGURE, &config));
	close((int)config.fd);
	return fd;
}

static void on_a_loop_device(void)
{
	char device[32], *p, *buf = malloc(64 * KiB);
	struct rig rig;
	int fd;

	check(buf);
	close(file_filled(fs_path("image"), 8 * MiB));
	fd = loop_open(fs_path("image"), device);
	file_rig(&rig, device, O_RDWR, POOL);
	p = rig.pool.memory;
	check_eq(rig_io(&rig, PIRN_OP_READ, MiB, 0, 64 * KiB), 64 * KiB);
	check_filled(p, 64 * KiB, MiB, 1);
	fill(p, 64 * KiB, MiB, 2);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB, 0, 64 * KiB), 64 * KiB);
	check_eq(rig_sync(&rig, PIRN_OP_FDATASYNC), 0);
	/* what others have cached is not what they read after a discard */
	check_eq(pread(fd, buf, 64 * KiB, MiB), 64 * KiB);
	check_filled(buf, 64 * KiB, MiB, 2);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, MiB, 64 * KiB, 0), 0);
	check_eq(pread(fd, buf, 64 * KiB, MiB), 64 * KiB);
	check(zeroes(buf, 64 * KiB));
	check_eq(rig_io(&rig, PIRN_OP_READ, MiB, 0, 128 * KiB), 128 * KiB);
	check(zeroes(p, 64 * KiB));
	check_filled(p + 64 * KiB, 64 * KiB, MiB + 64 * KiB, 1);
	/* nor after zeroes */
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 2 * MiB, 64 * KiB,
			   FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE), 0);
	check_eq(pread(fd, buf, 64 * KiB, 2 * MiB), 64 * KiB);
	check(zeroes(buf, 64 * KiB));
	check_eq(rig_io(&rig, PIRN_OP_READ, 2 * MiB, 0, 64 * KiB), 64 * KiB);
	check(zeroes(p, 64 * KiB));
	/* wrong ones */
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 0, 0, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 1, 512, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 0, 511, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 8 * MiB, 512, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 512, ~511ull, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 1ull << 63, 512, 0), -EINVAL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 0, 512, 1), -EINVAL);
	rig_close(&rig);
	file_rig(&rig, device, O_RDONLY, POOL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 0, 512, 0), -EBADF);
	check_eq(rig_range(&rig, PIRN_OP_FALLOCATE, 0, 512, FALLOC_FL_ZERO_RANGE),
		 -EBADF);
	rig_close(&rig);
	must(ioctl(fd, LOOP_CLR_FD));
	close(fd);
	free(buf);
}

TEST(loop_devices_and_what_is_no_io_of_a_bio)
{
	ON_EACH_FS(on_a_loop_device);
}

TEST(a_device_that_cannot_discard_says_so)
{
	struct rig rig;

	file_rig(&rig, FAST_DISK, O_RDWR, POOL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 0, 4096, 0), -EOPNOTSUPP);
	rig_close(&rig);
}

/* The file system keeps its superblock's page: nothing is discarded then. */
TEST(a_discard_of_pages_in_use_is_refused)
{
	struct rig rig;

	fs_mount(&file_systems[0]);
	file_rig(&rig, FS_DISK, O_RDWR, POOL);
	check_eq(rig_range(&rig, PIRN_OP_DISCARD, 0, 4096, 0), -EBUSY);
	rig_close(&rig);
	close(file_filled(fs_path("file"), MiB));
	fs_unmount();
	shell("e2fsck -fn " FS_DISK " >/dev/null 2>&1");
}

TEST(zoned_devices)
{
	struct pirn_sqe sqe = { .op = PIRN_OP_DISCARD };
	struct rig rig;
	char disk[32];

	slow_disk(3, 10000, disk);
	special_disk(3, "zone_size", "4");
	special_disk(3, "zoned", "1");
	file_rig(&rig, disk, O_RDWR, POOL);
	fill(rig.pool.memory, 64 * KiB, 0, 1);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 64 * KiB), 64 * KiB);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 64 * KiB, 0, 64 * KiB), 64 * KiB);
	/* not at the write pointer of the zone */
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 64 * KiB, 0, 4096), -EIO);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 512 * KiB, 0, 4096), -EIO);
	memset(rig.pool.memory, 0, 64 * KiB);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 64 * KiB), 64 * KiB);
	check_filled(rig.pool.memory, 64 * KiB, 0, 1);
	check_eq(rig_sync(&rig, PIRN_OP_FSYNC), 0);
	/* what the file does not have, block.c is not asked for */
	sqe.bytes = 512;
	check_op(do_sqe(&rig.ch, &sqe), <=, 0);
	rig_close(&rig);
	special_disk(3, "zoned", "0");
}

/* ------------------------------------------------------------------ atomic */

/* Whether the kernel has atomic writes to this disk. */
static bool has_atomic(void)
{
	return !access("/sys/block/nvme0n1/queue/atomic_write_unit_max_bytes", F_OK) &&
	       read_number("/sys/block/nvme0n1/queue/atomic_write_unit_max_bytes");
}

TEST(atomic_writes_where_there_are_any)
{
	struct pirn_query q = { .size = sizeof(q) };
	int want = has_atomic() ? 512 : -EOPNOTSUPP, device = open_device();
	struct pirn_sqe sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 512);
	char sector[512];
	const char *path;
	struct rig rig;
	int fd;

	sqe.flags = PIRN_SQE_ATOMIC;
	must(ioctl(device, PIRN_IOC_QUERY, &q));
	close(device);
	if (!(q.sqe_flags & PIRN_SQE_ATOMIC))
		want = -EOPNOTSUPP;
	file_rig(&rig, FS_DISK, O_RDWR, POOL);
	fill(rig.pool.memory, 512, 0, 7);
	check_eq(rig_flags(&rig, PIRN_OP_WRITE, 0, 0, 512, PIRN_SQE_ATOMIC), want);
	check_eq(rig_flags(&rig, PIRN_OP_READ, 0, 0, 512, PIRN_SQE_ATOMIC), -EINVAL);
	check_eq(rig_flags(&rig, PIRN_OP_WRITE, 0, 256, 512, PIRN_SQE_ATOMIC),
		 -EINVAL);
	check_eq(rig_flags(&rig, PIRN_OP_WRITE, 0, POOL, 512, PIRN_SQE_ATOMIC),
		 -EFAULT);
	/* not a power of two of blocks */
	check_eq(rig_flags(&rig, PIRN_OP_WRITE, 0, 0, 1536, PIRN_SQE_ATOMIC),
		 want < 0 ? want : -EINVAL);
	path = new_path("file");
	close(file_filled(path, 64 * KiB));
	check_eq(attach_disk(&rig.ch, path, O_RDWR), 1);
	sqe.target = 1;
	check_eq(do_sqe(&rig.ch, &sqe), -EOPNOTSUPP);
	if (want > 0) {
		fd = must(open(FS_DISK, O_RDONLY));
		check_eq(pread(fd, sector, sizeof(sector), 0), sizeof(sector));
		check_eq(rig_flags(&rig, PIRN_OP_WRITE, 0, 0, 512,
				   PIRN_SQE_ATOMIC), -EBUSY);
		must(ioctl(fd, BLKFLSBUF));
		close(fd);
		check_eq(rig_io(&rig, PIRN_OP_READ, 0, 4096, 512), 512);
		check_filled(rig.pool.memory + 4096, 512, 0, 7);
	}
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_is_a_file_with_direct_io),
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(memory_in_pieces),
		cmocka_unit_test(wrong_fields_are_told_and_touch_nothing),
		cmocka_unit_test(coherent_with_buffered_readers_and_writers),
		cmocka_unit_test(overwrites_and_reads_need_no_worker),
		cmocka_unit_test(syncs_and_durable_writes_flush_the_disk),
		cmocka_unit_test(fallocate_in_its_modes),
		cmocka_unit_test(loop_devices_and_what_is_no_io_of_a_bio),
		cmocka_unit_test(a_device_that_cannot_discard_says_so),
		cmocka_unit_test(a_discard_of_pages_in_use_is_refused),
		cmocka_unit_test(zoned_devices),
		cmocka_unit_test(atomic_writes_where_there_are_any),
	};

	return run_program(argc, argv, "files", tests, array_size(tests));
}
