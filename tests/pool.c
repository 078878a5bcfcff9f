// SPDX-License-Identifier: MIT
/*
 * Pools the kernel allocates: their mappings, who may use them besides pirn,
 * passing them on, and what they are charged to.
 */
#include <grp.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "device.h"
#include "pass_fd.h"

TEST(a_new_pool_is_zeroed_and_writable)
{
	size_t sizes[] = { PAGE, 3 * PAGE, 64 * KiB, 2 * MiB, 5 * MiB + PAGE,
			   40 * MiB }, i, at;
	struct pool pool;
	int round;

	/* twice: the second time it may be what the first one left */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < array_size(sizes); i++) {
			pool_open(&pool, sizes[i]);
			for (at = 0; at < sizes[i]; at += 8)
				check_eq(*(uint64_t *)(pool.memory + at), 0);
			fill(pool.memory, sizes[i], 0, i);
			check_filled(pool.memory, sizes[i], 0, i);
			pool_close(&pool);
		}
	}
}

TEST(a_pool_is_mapped_in_parts)
{
	struct pool pool;
	char *part;

	pool_open(&pool, 4 * MiB);
	fill(pool.memory, 4 * MiB, 0, 1);
	part = must(mmap(NULL, 64 * KiB, PROT_READ | PROT_WRITE, MAP_SHARED,
			 pool.fd, 3 * MiB));
	check_filled(part, 64 * KiB, 3 * MiB, 1);
	part[100] ^= 1;
	check_eq(pool.memory[3 * MiB + 100], part[100]);
	munmap(part, 64 * KiB);
	part = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, pool.fd, 4 * MiB - PAGE));
	check_filled(part, PAGE, 4 * MiB - PAGE, 1);
	munmap(part, PAGE);
	must_fail((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, pool.fd, 4 * MiB),
		  EINVAL);
	must_fail((long)mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, pool.fd,
			     4 * MiB - PAGE), EINVAL);
	must_fail((long)mmap(NULL, 4 * MiB + PAGE, PROT_READ, MAP_SHARED, pool.fd, 0),
		  EINVAL);
	must_fail((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, pool.fd,
			     (off_t)(0 - PAGE)), EOVERFLOW);
	must_fail((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, pool.fd,
			     0), EINVAL);
	must_fail((long)mremap(pool.memory, 4 * MiB, 8 * MiB, MREMAP_MAYMOVE), EFAULT);
	pool_close(&pool);
}

TEST(a_pool_serves_two_channels)
{
	struct channel first, second;
	struct pool pool;
	struct pirn_sqe sqe;

	channel_open(&first, 4, 4);
	channel_open_on(&second, 4, 4, 1);
	pool_open(&pool, 64 * KiB);
	check_eq(attach_pool_fd(&first, pool.fd), 0);
	check_eq(attach_pool_fd(&second, pool.fd), 0);
	attach_disk(&first, FAST_DISK, O_RDWR);
	attach_disk(&second, FAST_DISK, O_RDWR);
	fill(pool.memory, 4096, 0, 1);
	sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);
	check_eq(do_sqe(&first, &sqe), 4096);
	channel_close(&first);
	sqe = io_sqe(PIRN_OP_READ, 0, 4096, 4096);
	check_eq(do_sqe(&second, &sqe), 4096);
	check_filled(pool.memory + 4096, 4096, 0, 1);
	channel_close(&second);
	pool_close(&pool);
}

/* ------------------------------------------------------------ ordinary pages */

/* Read and written by pread() and pwrite() with O_DIRECT, page after page. */
TEST(direct_io_takes_a_mapped_pool)
{
	int fd = must(open(NVME_DISK, O_RDWR | O_DIRECT));
	struct pool pool;

	pool_open(&pool, 4 * MiB);
	fill(pool.memory, 2 * MiB, 0, 3);
	check_eq(pwrite(fd, pool.memory, 2 * MiB, 0), 2 * MiB);
	check_eq(pread(fd, pool.memory + 2 * MiB, 2 * MiB, 0), 2 * MiB);
	check_filled(pool.memory + 2 * MiB, 2 * MiB, 0, 3);
	/* from the middle of a large piece */
	memset(pool.memory, 0, PAGE * 3);
	check_eq(pread(fd, pool.memory + PAGE + 512, 4096, PAGE), 4096);
	check_filled(pool.memory + PAGE + 512, 4096, PAGE, 3);
	close(fd);
	pool_close(&pool);
}

static unsigned int kernel_version(void)
{
	struct utsname name;
	unsigned int major, minor;

	must(uname(&name));
	check_eq(sscanf(name.release, "%u.%u", &major, &minor), 2);
	return major * 100 + minor;
}

/* Pinned for long by somebody else, used by that, and given back. */
TEST(io_uring_registers_a_mapped_pool)
{
	int fd = must(open(NVME_DISK, O_RDWR | O_DIRECT));
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct iovec iov;
	struct pool pool;
	int i, err;

	pool_open(&pool, 4 * MiB);
	fill(pool.memory, 4 * MiB, 0, 4);
	check_eq(pwrite(fd, pool.memory, 4 * MiB, 0), 4 * MiB);
	memset(pool.memory, 0, 4 * MiB);
	check_eq(io_uring_queue_init(4, &ring, 0), 0);
	iov = (struct iovec){ pool.memory, 4 * MiB };
	err = io_uring_register_buffers(&ring, &iov, 1);
	/* before 6.5 it takes no mapping of a file but shmem and hugetlb */
	if (err == -EOPNOTSUPP && kernel_version() < 605)
		skip_case("io_uring of this kernel registers no file's memory");
	check_eq(err, 0);
	for (i = 0; i < 4; i++) {
		io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fd,
					 pool.memory + i * MiB, MiB,
					 (uint64_t)i * MiB, 0);
		check_eq(io_uring_submit(&ring), 1);
		check_eq(io_uring_wait_cqe(&ring, &cqe), 0);
		check_eq(cqe->res, MiB);
		io_uring_cqe_seen(&ring, cqe);
	}
	check_filled(pool.memory, 4 * MiB, 0, 4);
	/* the pool goes first: the pages are held by the registration */
	pool_close(&pool);
	io_uring_queue_exit(&ring);
	close(fd);
}

/* -------------------------------------------------------------- passing it on */

/* The child makes the pool, gives it away and ends. */
static int pool_of_a_dead_process(uint64_t bytes)
{
	int sockets[2], fd, status;
	struct pool pool;
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = must(fork());
	if (!pid) {
		pool_open(&pool, bytes);
		fill(pool.memory, bytes, 0, 6);
		send_fd(sockets[1], pool.fd);
		_exit(0);
	}
	fd = receive_fd(sockets[0]);
	must(waitpid(pid, &status, 0));
	check_eq(status, 0);
	close(sockets[0]);
	close(sockets[1]);
	return fd;
}

TEST(a_pool_passed_on_is_used_without_the_device)
{
	struct pirn_sqe sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 64 * KiB);
	struct channel ch;
	char *memory;
	int fd;

	channel_open(&ch, 4, 4);
	attach_disk(&ch, FAST_DISK, O_RDWR);
	fd = pool_of_a_dead_process(128 * KiB);
	check_eq(attach_pool_fd(&ch, fd), 0);
	memory = must(mmap(NULL, 128 * KiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	check_filled(memory, 128 * KiB, 0, 6);
	check_eq(do_sqe(&ch, &sqe), 64 * KiB);
	memset(memory, 0, 128 * KiB);
	sqe = io_sqe(PIRN_OP_READ, 0, 64 * KiB, 64 * KiB);
	check_eq(do_sqe(&ch, &sqe), 64 * KiB);
	check_filled(memory + 64 * KiB, 64 * KiB, 0, 6);
	munmap(memory, 128 * KiB);
	close(fd);
	channel_close(&ch);
}

/* ------------------------------------------------------------ RLIMIT_MEMLOCK */

static int device;

/* As a user without privileges, with the device opened before. */
static void become_nobody(size_t memlock)
{
	struct rlimit limit = { memlock, memlock };

	device = open_device();
	must(setrlimit(RLIMIT_MEMLOCK, &limit));
	must(setgroups(0, NULL));
	must(setgid(65534));
	must(setuid(65534));
}

static int create_pool(uint64_t bytes)
{
	struct pirn_pool_create arg = {
		.size = sizeof(arg), .bytes = bytes, .node = -1,
	};

	return ioctl(device, PIRN_IOC_POOL_CREATE, &arg);
}

static int create_channel(uint32_t entries)
{
	struct pirn_channel_create arg = {
		.size = sizeof(arg), .sq_entries = entries, .cq_entries = entries,
	};

	return ioctl(device, PIRN_IOC_CHANNEL_CREATE, &arg);
}

TEST(pools_and_channels_count_against_memlock)
{
	int first, second, channel, i;
	char *own;

	become_nobody(1 * MiB);
	must_fail(create_pool(1 * MiB + PAGE), ENOMEM);
	first = must(create_pool(512 * KiB));
	second = must(create_pool(512 * KiB));
	must_fail(create_pool(PAGE), ENOMEM);
	must_fail(create_channel(4), ENOMEM);
	must(close(second));
	second = must(create_pool(256 * KiB));
	/* 256 KiB are left: a small channel fits, a large one does not */
	must_fail(create_channel(4096), ENOMEM);
	channel = must(create_channel(4));
	must_fail(create_pool(256 * KiB), ENOMEM);
	must(close(channel));
	close_new(create_pool(256 * KiB));
	/* what was refused took nothing, again and again */
	for (i = 0; i < 100; i++) {
		must_fail(create_pool(512 * KiB), ENOMEM);
		close_new(create_pool(256 * KiB));
		close_new(create_channel(16));
	}
	/* the caller's own memory counts as well */
	own = must(mmap(NULL, MiB, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
	struct pirn_pool_create user = {
		.size = sizeof(user), .flags = PIRN_POOL_USER, .bytes = 512 * KiB,
		.addr = (uintptr_t)own, .node = -1,
	};

	must_fail(ioctl(device, PIRN_IOC_POOL_CREATE, &user), ENOMEM);
	user.bytes = 256 * KiB;
	close_new(ioctl(device, PIRN_IOC_POOL_CREATE, &user));
	/* a mapping keeps it charged after the fd is closed */
	own = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, first, 0));
	must(close(first));
	must_fail(create_pool(768 * KiB), ENOMEM);
	must(munmap(own, PAGE));
	close_new(create_pool(768 * KiB));
	must(close(second));
	close_new(create_pool(1 * MiB));
}

/*
 * Made by one process, passed to another, which drops it when the first is
 * gone: charged to an mm this would leak, and the limit be reached.
 */
TEST(what_a_dead_process_made_is_given_back)
{
	int sockets[2], i, fd, status;
	pid_t pid;

	become_nobody(256 * KiB);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	for (i = 0; i < 1000; i++) {
		pid = must(fork());
		if (!pid) {
			fd = create_pool(200 * KiB);
			if (fd < 0)
				_exit(1);
			send_fd(sockets[1], fd);
			_exit(0);
		}
		must(waitpid(pid, &status, 0));
		if (status)
			check_failed(__FILE__, __LINE__, "round %d: no pool", i);
		fd = receive_fd(sockets[0]);
		/* still charged */
		if (i % 100 == 0)
			must_fail(create_pool(200 * KiB), ENOMEM);
		must(close(fd));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_pool_is_zeroed_and_writable),
		cmocka_unit_test(a_pool_is_mapped_in_parts),
		cmocka_unit_test(a_pool_serves_two_channels),
		cmocka_unit_test(direct_io_takes_a_mapped_pool),
		cmocka_unit_test(io_uring_registers_a_mapped_pool),
		cmocka_unit_test(a_pool_passed_on_is_used_without_the_device),
		cmocka_unit_test(pools_and_channels_count_against_memlock),
		cmocka_unit_test(what_a_dead_process_made_is_given_back),
	};

	return run_program(argc, argv, "pool", tests, array_size(tests));
}
