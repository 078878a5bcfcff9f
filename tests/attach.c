// SPDX-License-Identifier: MIT
/* Targets and pools in a channel's tables: what is taken, limits, detaching. */
#include <pthread.h>
#include <stdatomic.h>
#include <linux/fs.h>

#include "device.h"

/* --------------------------------------------------------------- what is taken */

TEST(a_target_is_no_other_than_a_disk_or_file)
{
	struct channel ch;
	struct pool pool;
	int fd, pipes[2];

	channel_open(&ch, 4, 4);
	pool_open(&pool, PAGE);
	must_fail(attach_target_fd(&ch, -1), EBADF);
	must_fail(attach_target_fd(&ch, 1000), EBADF);
	fd = must(open(FAST_DISK, O_PATH));
	must_fail(attach_target_fd(&ch, fd), EBADF);
	close(fd);
	fd = must(open(FAST_DISK, O_RDWR));
	must_fail(attach_target_fd(&ch, fd), EINVAL);
	close(fd);
	fd = must(open("/dev/null", O_RDWR));
	must_fail(attach_target_fd(&ch, fd), EOPNOTSUPP);
	close(fd);
	fd = must(open("/", O_RDONLY | O_DIRECTORY));
	must_fail(attach_target_fd(&ch, fd), EOPNOTSUPP);
	close(fd);
	must(pipe(pipes));
	must_fail(attach_target_fd(&ch, pipes[0]), EOPNOTSUPP);
	must_fail(attach_target_fd(&ch, pool.fd), EOPNOTSUPP);
	must_fail(attach_target_fd(&ch, ch.fd), EOPNOTSUPP);
	/* none of them took a place */
	check_eq(attach_disk(&ch, FAST_DISK, O_RDWR), 0);
	channel_close(&ch);
	pool_close(&pool);
}

TEST(a_pool_is_a_pool)
{
	struct channel ch, other;
	struct pool pool;
	int fd;

	channel_open(&ch, 4, 4);
	channel_open(&other, 4, 4);
	pool_open(&pool, PAGE);
	must_fail(attach_pool_fd(&ch, -1), EBADF);
	must_fail(attach_pool_fd(&ch, 1000), EBADF);
	must_fail(attach_pool_fd(&ch, ch.fd), EBADF);
	must_fail(attach_pool_fd(&ch, other.fd), EBADF);
	fd = open_device();
	must_fail(attach_pool_fd(&ch, fd), EBADF);
	close(fd);
	fd = must(open(FAST_DISK, O_RDWR | O_DIRECT));
	must_fail(attach_pool_fd(&ch, fd), EBADF);
	close(fd);
	check_eq(attach_pool_fd(&ch, pool.fd), 0);
	channel_close(&other);
	channel_close(&ch);
	pool_close(&pool);
}

static void check_properties(const char *disk)
{
	struct pirn_target_attach arg = { .size = sizeof(arg) };
	struct pirn_pool_attach pool_arg = { .size = sizeof(pool_arg) };
	char path[128];
	uint64_t bytes;
	struct channel ch;
	struct pool pool;
	int block;

	channel_open(&ch, 4, 4);
	pool_open(&pool, 12 * PAGE);
	arg.fd = must(open(disk, O_RDONLY | O_DIRECT));
	must(ioctl(ch.fd, PIRN_IOC_TARGET_ATTACH, &arg));
	must(ioctl(arg.fd, BLKGETSIZE64, &bytes));
	must(ioctl(arg.fd, BLKSSZGET, &block));
	check_eq(arg.bytes, bytes);
	check_eq(arg.block_bytes, block);
	snprintf(path, sizeof(path), "/sys/class/block/%s/queue/dma_alignment",
		 disk + 5);
	/* the device's demand, and a block, whichever is more */
	check_eq(arg.memory_align,
		 (read_number(path) | ((unsigned int)block - 1)) + 1);
	close(arg.fd);
	pool_arg.fd = pool.fd;
	must(ioctl(ch.fd, PIRN_IOC_POOL_ATTACH, &pool_arg));
	check_eq(pool_arg.bytes, 12 * PAGE);
	channel_close(&ch);
	pool_close(&pool);
}

TEST(attach_tells_what_the_device_is_like)
{
	check_properties(FAST_DISK);
	check_properties(NVME_DISK);
}

TEST(a_disk_of_larger_blocks)
{
	struct rig rig;
	char path[32];

	slow_disk(2, 1000, path);
	special_disk(2, "blocksize", "4096");
	check_properties(path);
	rig_open(&rig, 4, 64 * KiB, path);
	check_eq(rig_io(&rig, PIRN_OP_READ, 512, 0, 4096), -EINVAL);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 512), -EINVAL);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, 4096 + 512), -EINVAL);
	fill(rig.pool.memory, 8192, 0, 1);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 4096, 0, 8192), 8192);
	check_eq(rig_io(&rig, PIRN_OP_READ, 4096, 8192, 8192), 8192);
	check_filled(rig.pool.memory + 8192, 8192, 0, 1);
	rig_close(&rig);
	special_disk(2, "blocksize", "512");
}

/* ------------------------------------------------------------------- limits */

/* What somebody has cached reaches the device, and is no matter for ops then. */
TEST(attach_writes_cached_pages_back_and_drops_them)
{
	int fd = must(open(FAST_DISK, O_RDWR | O_CLOEXEC));
	unsigned long long punts;
	struct rig rig;
	char page[PAGE];

	fill(page, PAGE, 0, 7);
	check_eq(pwrite(fd, page, PAGE, 8 * MiB), PAGE);
	punts = cpu_counter(0, "worker_punts");
	rig_open(&rig, 4, 64 * KiB, FAST_DISK);
	check_eq(rig_io(&rig, PIRN_OP_READ, 8 * MiB, 0, PAGE), PAGE);
	check_filled(rig.pool.memory, PAGE, 0, 7);
	check_eq(cpu_counter(0, "worker_punts"), punts);
	close(fd);
	rig_close(&rig);
}

TEST(tables_have_an_end)
{
	int fd = must(open(FAST_DISK, O_RDONLY | O_DIRECT)), i;
	struct channel ch;
	struct pool pool;

	channel_open(&ch, 4, 4);
	pool_open(&pool, PAGE);
	for (i = 0; i < (int)PIRN_MAX_TARGETS; i++)
		check_eq(must(attach_target_fd(&ch, fd)), i);
	must_fail(attach_target_fd(&ch, fd), ENFILE);
	for (i = 0; i < (int)PIRN_MAX_POOLS; i++)
		check_eq(must(attach_pool_fd(&ch, pool.fd)), i);
	must_fail(attach_pool_fd(&ch, pool.fd), ENFILE);
	must(detach_target(&ch, 700));
	check_eq(must(attach_target_fd(&ch, fd)), 700);
	must_fail(attach_target_fd(&ch, fd), ENFILE);
	must(detach_pool(&ch, 255));
	check_eq(must(attach_pool_fd(&ch, pool.fd)), 255);
	must_fail(attach_pool_fd(&ch, pool.fd), ENFILE);
	close(fd);
	/* the last of each can be used */
	struct pirn_sqe sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);

	sqe.target = PIRN_MAX_TARGETS - 1;
	sqe.pool = PIRN_MAX_POOLS - 1;
	check_eq(do_sqe(&ch, &sqe), 4096);
	channel_close(&ch);
	pool_close(&pool);
}

TEST(detach_of_nothing)
{
	const uint32_t none[] = { 1, 2, 255, 256, 1023, 1024, 1u << 31, UINT32_MAX };
	struct rig rig;
	size_t i;

	rig_open(&rig, 4, PAGE, FAST_DISK);
	for (i = 0; i < array_size(none); i++) {
		must_fail(detach_target(&rig.ch, none[i]), ENOENT);
		must_fail(detach_pool(&rig.ch, none[i]), ENOENT);
	}
	must(detach_target(&rig.ch, 0));
	must(detach_pool(&rig.ch, 0));
	must_fail(detach_target(&rig.ch, 0), ENOENT);
	must_fail(detach_pool(&rig.ch, 0), ENOENT);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 512), -EBADF);
	check_eq(attach_disk(&rig.ch, FAST_DISK, O_RDONLY), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 512), -ENXIO);
	rig_close(&rig);
}

TEST(detach_while_in_flight)
{
	struct rig rig;
	char path[32];
	int fd;

	slow_disk(1, 500000000, path);
	rig_open(&rig, 4, 64 * KiB, path);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 4096, 4096);
	check_eq(enter(&rig.ch, 2), 2);
	must_fail(detach_target(&rig.ch, 0), EBUSY);
	must_fail(detach_pool(&rig.ch, 0), EBUSY);
	/* what is not used by them goes */
	fd = must(open(FAST_DISK, O_RDONLY | O_DIRECT));
	check_eq(must(attach_target_fd(&rig.ch, fd)), 1);
	close(fd);
	check_eq(must(attach_pool_fd(&rig.ch, rig.pool.fd)), 1);
	must(detach_target(&rig.ch, 1));
	must(detach_pool(&rig.ch, 1));
	await_cqes(&rig.ch, 2);
	/* completed, also when nobody has read the CQEs */
	must(detach_target(&rig.ch, 0));
	must(detach_pool(&rig.ch, 0));
	check_eq(take_cqe(&rig.ch).res, 4096);
	check_eq(take_cqe(&rig.ch).res, 4096);
	rig_close(&rig);
}

/* The fds may go: the channel holds what is attached. */
TEST(what_is_attached_stays)
{
	struct channel ch;
	struct pool pool;
	struct pirn_sqe sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);

	channel_open(&ch, 4, 4);
	pool_open(&pool, 64 * KiB);
	must(attach_pool_fd(&ch, pool.fd));
	attach_disk(&ch, FAST_DISK, O_RDWR);
	must(close(pool.fd));
	fill(pool.memory, 4096, 0, 1);
	check_eq(do_sqe(&ch, &sqe), 4096);
	must(munmap(pool.memory, pool.bytes));
	sqe = io_sqe(PIRN_OP_READ, 0, 8192, 4096);
	check_eq(do_sqe(&ch, &sqe), 4096);
	sqe = io_sqe(PIRN_OP_WRITE, 4096, 8192, 4096);
	check_eq(do_sqe(&ch, &sqe), 4096);
	must(detach_pool(&ch, 0));
	channel_close(&ch);

	struct rig rig;

	rig_open(&rig, 4, PAGE, FAST_DISK);
	check_eq(rig_io(&rig, PIRN_OP_READ, 4096, 0, 4096), 4096);
	check_filled(rig.pool.memory, 4096, 0, 1);
	rig_close(&rig);
}

/* --------------------------------------------- attaching while others submit */

static struct rig racing;
static atomic_bool stop;

static void *attach_and_detach(void *arg)
{
	int fd = must(open(NVME_DISK, O_RDWR | O_DIRECT)), target, slot;
	uintptr_t *rounds = arg;

	while (!atomic_load(&stop)) {
		target = must(attach_target_fd(&racing.ch, fd));
		slot = must(attach_pool_fd(&racing.ch, racing.pool.fd));
		check_op(target, >, 0);
		check_op(slot, >, 0);
		while (detach_target(&racing.ch, (uint32_t)target))
			check_eq(errno, EBUSY);
		while (detach_pool(&racing.ch, (uint32_t)slot))
			check_eq(errno, EBUSY);
		++*rounds;
	}
	close(fd);
	return NULL;
}

TEST(attach_and_detach_race_with_submission)
{
	uintptr_t rounds[2] = { 0, 0 };
	struct pirn_sqe sqe;
	pthread_t thread[2];
	struct rng rng = { 1 };
	struct pirn_cqe cqe;
	uint32_t i, n;

	rig_open(&racing, 16, 64 * KiB, NVME_DISK);
	fill(racing.pool.memory, 4096, 0, 77);
	check_eq(rig_io(&racing, PIRN_OP_WRITE, 0, 0, 4096), 4096);
	for (i = 0; i < 2; i++)
		check_eq(pthread_create(&thread[i], NULL, attach_and_detach,
					&rounds[i]), 0);
	for (i = 0; i < 400; i++) {
		memset(racing.pool.memory + 4096, 0, 60 * KiB);
		for (n = 0; n < 8; n++) {
			sqe = io_sqe(PIRN_OP_READ, 0, 4096 * (1 + n), 4096);
			sqe.target = (uint16_t)rng_below(&rng, 4);
			sqe.pool = (uint16_t)rng_below(&rng, 4);
			sqe.cookie = n | (uint64_t)sqe.target << 8 |
				     (uint64_t)sqe.pool << 16;
			*next_sqe(&racing.ch) = sqe;
		}
		for (n = 0; n < 8;)
			n += (uint32_t)must(enter(&racing.ch, 8 - n));
		await_cqes(&racing.ch, 8);
		for (n = 0; n < 8; n++) {
			cqe = take_cqe(&racing.ch);
			if (!(cqe.cookie >> 8))
				check_eq(cqe.res, 4096);
			if (cqe.res == 4096)
				check_filled(racing.pool.memory +
					     4096 * (1 + (cqe.cookie & 7)), 4096, 0, 77);
			else
				check(cqe.res == -EBADF || cqe.res == -ENXIO);
		}
	}
	/* until both have really done something in between */
	while (!*(volatile uintptr_t *)&rounds[0] || !*(volatile uintptr_t *)&rounds[1])
		nap_ms(1);
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	rig_close(&racing);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_is_no_other_than_a_disk_or_file),
		cmocka_unit_test(a_pool_is_a_pool),
		cmocka_unit_test(attach_tells_what_the_device_is_like),
		cmocka_unit_test(a_disk_of_larger_blocks),
		cmocka_unit_test(attach_writes_cached_pages_back_and_drops_them),
		cmocka_unit_test(tables_have_an_end),
		cmocka_unit_test(detach_of_nothing),
		cmocka_unit_test(detach_while_in_flight),
		cmocka_unit_test(what_is_attached_stays),
		cmocka_unit_test(attach_and_detach_race_with_submission),
	};

	return run_program(argc, argv, "attach", tests, array_size(tests));
}
