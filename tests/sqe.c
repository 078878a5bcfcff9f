// SPDX-License-Identifier: MIT
/*
 * What an SQE may hold: each wrong field gives exactly one CQE with the errno
 * the ABI names (do_sqe() counts them), and no disk or memory is touched; each
 * right one moves the right bytes.
 */
#include <linux/fs.h>
#include <sys/swap.h>

#include <sys/uio.h>

#include "device.h"

#define POOL (1 * MiB)

/* ----------------------------------------------------------- wrong fields */


static void expect(struct rig *rig, const struct pirn_sqe *sqe, int res,
		   const char *what)
{
	int got = do_sqe(&rig->ch, sqe);

	if (got != res)
		check_failed(__FILE__, __LINE__, "op %u, %s: %d, not %d", sqe->op,
			     what, got, res);
}

/* Each bit of a field that the op must leave zero. */
static void bits_refused(struct rig *rig, int op, size_t offset, size_t bytes,
			 uint64_t known)
{
	bool data = op == PIRN_OP_READ || op == PIRN_OP_WRITE;
	struct pirn_sqe sqe;
	unsigned int bit;
	char what[64];

	for (bit = 0; bit < bytes * 8; bit++) {
		if (bytes <= 8 && known >> bit & 1)
			continue;
		sqe = data ? io_sqe(op, 4096, 4096, 512) : io_sqe(op, 0, 0, 0);
		((uint8_t *)&sqe)[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
		snprintf(what, sizeof(what), "bit %u of offset %zu", bit, offset);
		expect(rig, &sqe, -EINVAL, what);
	}
}

#define FIELD(field) offsetof(struct pirn_sqe, field), \
		     sizeof(((struct pirn_sqe *)0)->field)

TEST(reserved_and_unused_fields_must_be_zero)
{
	static const int no_data[] = {
		PIRN_OP_NOP, PIRN_OP_FSYNC, PIRN_OP_FDATASYNC,
		PIRN_OP_FALLOCATE, PIRN_OP_DISCARD,
	};
	struct rig rig;
	size_t i;
	int op;

	rig_open(&rig, 4, POOL, FAST_DISK);
	for (op = PIRN_OP_NOP; op < PIRN_OP_LAST; op++) {
		bits_refused(&rig, op, FIELD(resv0), 0);
		bits_refused(&rig, op, FIELD(resv1), 0);
		/* of a JOIN, the wrong ones are in join.c */
		if (op != PIRN_OP_JOIN && op != PIRN_OP_FALLOCATE)
			bits_refused(&rig, op, FIELD(threshold), 0);
	}
	bits_refused(&rig, PIRN_OP_READ, FIELD(flags), PIRN_SQE_NOMERGE);
	bits_refused(&rig, PIRN_OP_WRITE, FIELD(flags),
		     PIRN_SQE_NOMERGE | PIRN_SQE_DSYNC | PIRN_SQE_ATOMIC);
	for (i = 0; i < array_size(no_data); i++) {
		op = no_data[i];
		bits_refused(&rig, op, FIELD(flags), 0);
		bits_refused(&rig, op, FIELD(pool), 0);
		bits_refused(&rig, op, FIELD(len), 0);
		/* of these, values are looked at in files.c */
		if (op == PIRN_OP_FALLOCATE || op == PIRN_OP_DISCARD)
			continue;
		bits_refused(&rig, op, FIELD(offset), 0);
		bits_refused(&rig, op, FIELD(pool_offset), 0);
	}
	bits_refused(&rig, PIRN_OP_NOP, FIELD(target), 0);
	rig_close(&rig);
}

TEST(unknown_ops_are_refused)
{
	struct pirn_sqe sqe = { 0 };
	struct rig rig;
	int op;

	rig_open(&rig, 4, POOL, FAST_DISK);
	for (op = PIRN_OP_LAST; op < 256; op++) {
		sqe.op = (uint8_t)op;
		expect(&rig, &sqe, -EINVAL, "unknown");
	}
	rig_close(&rig);
}

TEST(indices_must_be_attached)
{
	const uint16_t wrong[] = { 1, 2, 255, 256, 257, 1023, 1024, 1025, 32768,
				   65535 };
	struct pirn_sqe sqe;
	struct rig rig;
	size_t i;
	int op;

	rig_open(&rig, 4, POOL, FAST_DISK);
	for (i = 0; i < array_size(wrong); i++) {
		for (op = PIRN_OP_READ; op <= PIRN_OP_WRITE; op++) {
			sqe = io_sqe(op, 0, 0, 512);
			sqe.target = wrong[i];
			expect(&rig, &sqe, -EBADF, "target");
			sqe = io_sqe(op, 0, 0, 512);
			sqe.pool = wrong[i];
			expect(&rig, &sqe, -ENXIO, "pool");
		}
		sqe = io_sqe(PIRN_OP_FSYNC, 0, 0, 0);
		sqe.target = wrong[i];
		expect(&rig, &sqe, -EBADF, "target");
	}
	rig_close(&rig);
}

TEST(ranges_and_alignment)
{
	static const struct {
		uint64_t offset, pool_offset;
		uint32_t len;
		int res;
		const char *what;
	} wrong[] = {
		{ 0, 0, 0, -EINVAL, "no bytes" },
		{ 0, 0, 1, -EINVAL, "one byte" },
		{ 0, 0, 511, -EINVAL, "less than a block" },
		{ 0, 0, 513, -EINVAL, "more than a block" },
		{ 1, 0, 512, -EINVAL, "offset 1" },
		{ 256, 0, 512, -EINVAL, "half a block" },
		{ 0, 1, 512, -EINVAL, "pool offset 1" },
		{ 0, 0, PIRN_MAX_IO_BYTES + 512, -EINVAL, "too long" },
		{ 0, 0, UINT32_MAX & ~511u, -EINVAL, "much too long" },
		{ 0, 0, UINT32_MAX, -EINVAL, "all ones" },
		{ 0, 0, POOL + 512, -EFAULT, "longer than the pool" },
		{ 0, 512, POOL, -EFAULT, "past the pool by a block" },
		{ 0, POOL, 512, -EFAULT, "from the pool's end" },
		{ 0, POOL - 512, 1024, -EFAULT, "across the pool's end" },
		{ 0, POOL + 512, 512, -EFAULT, "past the pool" },
		{ 0, 0 - 512ull, 512, -EFAULT, "wraps to 0" },
		{ 0, 0 - 512ull, 1024, -EFAULT, "wraps past 0" },
		{ 0, 0 - (uint64_t)PIRN_MAX_IO_BYTES, PIRN_MAX_IO_BYTES, -EFAULT,
		  "wraps, long" },
		{ 0, 1ull << 63, 512, -EFAULT, "2^63" },
		{ 0, 1ull << 32, 512, -EFAULT, "2^32" },
	};
	struct pirn_sqe sqe;
	struct rig rig;
	size_t i;

	rig_open(&rig, 4, POOL, FAST_DISK);
	fill(rig.pool.memory, POOL, 0, 7);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0, 0, POOL), POOL);
	fill(rig.pool.memory, POOL, 0, 8);
	for (i = 0; i < array_size(wrong); i++) {
		sqe = io_sqe(PIRN_OP_READ, wrong[i].offset, wrong[i].pool_offset,
			     wrong[i].len);
		expect(&rig, &sqe, wrong[i].res, wrong[i].what);
		sqe.op = PIRN_OP_WRITE;
		expect(&rig, &sqe, wrong[i].res, wrong[i].what);
	}
	/* neither memory nor disk has changed */
	check_filled(rig.pool.memory, POOL, 0, 8);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, POOL), POOL);
	check_filled(rig.pool.memory, POOL, 0, 7);
	rig_close(&rig);
}

static void check_ends(const char *disk)
{
	struct rig rig;
	uint64_t end;
	int fd;

	rig_open(&rig, 4, POOL, disk);
	fd = must(open(disk, O_RDONLY));
	must(ioctl(fd, BLKGETSIZE64, &end));
	close(fd);
	fill(rig.pool.memory, 8192, end - 8192, 3);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, end - 8192, 0, 8192), 8192);
	memset(rig.pool.memory, 0x55, 64 * KiB);
	check_eq(rig_io(&rig, PIRN_OP_READ, end - 8192, 0, 64 * KiB), 8192);
	check_filled(rig.pool.memory, 8192, end - 8192, 3);
	check_eq(rig.pool.memory[8192], 0x55);
	check_eq(rig_io(&rig, PIRN_OP_READ, end, 0, 512), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, end + 512, 0, 512), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, 1ull << 63, 0, 512), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0 - 512ull, 0, 512), 0);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0 - 512ull, 0, 64 * KiB), 0);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, end, 0, 512), -ENOSPC);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 1ull << 63, 0, 512), -ENOSPC);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0 - 512ull, 0, 512), -ENOSPC);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 0 - 512ull, 0, 4096), -ENOSPC);
	/* crosses the end: clipped */
	fill(rig.pool.memory, 8192, 0, 4);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, end - 4096, 0, 8192), 4096);
	check_eq(rig_io(&rig, PIRN_OP_READ, end - 8192, 0, 8192), 8192);
	check_filled(rig.pool.memory, 4096, end - 8192, 3);
	check_filled(rig.pool.memory + 4096, 4096, 0, 4);
	rig_close(&rig);
}

TEST(the_end_of_a_device)
{
	check_ends(FAST_DISK);
	check_ends(NVME_DISK);
}

/* ------------------------------------------------- what the device allows */

TEST(a_target_is_used_as_its_fd_was_opened)
{
	struct pirn_sqe sqe;
	struct rig rig;
	int reads, writes;

	rig_open(&rig, 4, POOL, FAST_DISK);
	reads = attach_disk(&rig.ch, FAST_DISK, O_RDONLY);
	writes = attach_disk(&rig.ch, FAST_DISK, O_WRONLY);
	fill(rig.pool.memory, 4096, 0, 1);
	sqe = io_sqe(PIRN_OP_WRITE, 0, 0, 4096);
	sqe.target = (uint16_t)writes;
	expect(&rig, &sqe, 4096, "write-only");
	fill(rig.pool.memory, 4096, 0, 2);
	sqe.target = (uint16_t)reads;
	expect(&rig, &sqe, -EBADF, "read-only");
	sqe.op = PIRN_OP_READ;
	sqe.target = (uint16_t)writes;
	expect(&rig, &sqe, -EBADF, "write-only");
	check_filled(rig.pool.memory, 4096, 0, 2);
	sqe.target = (uint16_t)reads;
	expect(&rig, &sqe, 4096, "read-only");
	check_filled(rig.pool.memory, 4096, 0, 1);
	rig_close(&rig);
}

TEST(a_read_only_device_and_swap_are_not_written)
{
	int fd = must(open(FAST_DISK, O_RDONLY)), on = 1, off = 0;
	struct rig rig;
	char command[128];

	rig_open(&rig, 4, POOL, FAST_DISK);
	fill(rig.pool.memory, 4096, 0, 1);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 8192, 0, 4096), 4096);
	fill(rig.pool.memory, 4096, 0, 2);
	must(ioctl(fd, BLKROSET, &on));
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 8192, 0, 4096), -EPERM);
	must(ioctl(fd, BLKROSET, &off));
	check_eq(rig_io(&rig, PIRN_OP_READ, 8192, 0, 4096), 4096);
	check_filled(rig.pool.memory, 4096, 0, 1);
	close(fd);

	snprintf(command, sizeof(command), "mkswap %s >/dev/null 2>&1", FAST_DISK);
	check_eq(system(command), 0);
	must(swapon(FAST_DISK, 0));
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 64 * KiB, 0, 4096), -ETXTBSY);
	must(swapoff(FAST_DISK));
	check_eq(rig_io(&rig, PIRN_OP_WRITE, 64 * KiB, 0, 4096), 4096);
	rig_close(&rig);
}

/* ------------------------------------------------------------- right bytes */

static void random_content(const char *disk, unsigned int rounds)
{
	uint64_t seed_at[1024] = { 0 };	/* of each 4 KiB of the disk's start */
	struct rng rng = { 21 };
	uint32_t i, len, at, pool_at;
	struct pirn_sqe sqe;
	struct rig rig;
	uint64_t seed;

	rig_open(&rig, 4, POOL, disk);
	memset(rig.pool.memory, 0, POOL);
	for (at = 0; at < 4 * MiB; at += POOL)
		check_eq(rig_io(&rig, PIRN_OP_WRITE, at, 0, POOL), POOL);
	for (i = 0; i < rounds; i++) {
		len = 4096 * (1 + (uint32_t)rng_below(&rng, 64));
		at = 4096 * (uint32_t)rng_below(&rng, 1024 - len / 4096 + 1);
		/* any block of the pool, not only at pages */
		pool_at = 512 * (uint32_t)rng_below(&rng, (POOL - len) / 512 + 1);
		sqe = io_sqe(PIRN_OP_WRITE, at, pool_at, len);
		sqe.flags = (uint16_t)rng_below(&rng, 4);
		seed = rng_next(&rng) | 1;
		fill(rig.pool.memory + pool_at, len, at, seed);
		expect(&rig, &sqe, (int)len, "write");
		while (len) {
			len -= 4096;
			seed_at[(at + len) / 4096] = seed;
		}
		len = 4096 * (1 + (uint32_t)rng_below(&rng, 64));
		at = 4096 * (uint32_t)rng_below(&rng, 1024 - len / 4096 + 1);
		pool_at = 512 * (uint32_t)rng_below(&rng, (POOL - len) / 512 + 1);
		sqe = io_sqe(PIRN_OP_READ, at, pool_at, len);
		sqe.flags = rng_below(&rng, 2) ? PIRN_SQE_NOMERGE : 0;
		memset(rig.pool.memory + pool_at, 0xee, len);
		expect(&rig, &sqe, (int)len, "read");
		for (; len; len -= 4096, at += 4096, pool_at += 4096) {
			if (seed_at[at / 4096])
				check_filled(rig.pool.memory + pool_at, 4096, at,
					     seed_at[at / 4096]);
		}
		if (i % 20 == 0)
			check_eq(rig_io(&rig, PIRN_OP_FSYNC, 0, 0, 0), 0);
	}
	rig_close(&rig);
}

TEST(random_content_on_a_disk_in_memory)
{
	random_content(FAST_DISK, 150);
}

TEST(random_content_on_nvme)
{
	random_content(NVME_DISK, 150);
}

/* Far beyond one request of the device, and one op of it at its most. */
TEST(the_longest_op)
{
	struct rig rig;

	rig_open(&rig, 4, 20 * MiB, NVME_DISK);
	fill(rig.pool.memory, PIRN_MAX_IO_BYTES, MiB, 9);
	check_eq(rig_io(&rig, PIRN_OP_WRITE, MiB, 0, PIRN_MAX_IO_BYTES),
		 PIRN_MAX_IO_BYTES);
	memset(rig.pool.memory, 0, 20 * MiB);
	/* from another place of the pool, so that pieces are cut elsewhere */
	check_eq(rig_io(&rig, PIRN_OP_READ, MiB, 3 * MiB + 512, PIRN_MAX_IO_BYTES),
		 PIRN_MAX_IO_BYTES);
	check_filled(rig.pool.memory + 3 * MiB + 512, PIRN_MAX_IO_BYTES, MiB, 9);
	rig_close(&rig);
}

/* A batch of neighbours, which the block layer may merge, and of strangers. */
TEST(a_batch_completes_each_with_its_own)
{
	struct pirn_sqe sqe;
	struct pirn_cqe cqe;
	struct rig rig;
	uint32_t i, round, taken;

	rig_open(&rig, 128, 128 * 4096, NVME_DISK);
	for (round = 0; round < 6; round++) {
		fill(rig.pool.memory, 128 * 4096, 0, round);
		for (i = 0; i < 128; i++) {
			sqe = io_sqe(round % 2 ? PIRN_OP_WRITE : PIRN_OP_READ,
				     4096ull * (round < 4 ? i : i * 37 % 128),
				     4096ull * i, 4096);
			sqe.cookie = i;
			/* one wrong among them */
			if (i == 77)
				sqe.len = 4097;
			*next_sqe(&rig.ch) = sqe;
		}
		for (taken = 0; taken < 128;)
			taken += (uint32_t)must(enter(&rig.ch, 128 - taken));
		await_cqes(&rig.ch, 128);
		uint64_t seen[2] = { 0, 0 };

		for (i = 0; i < 128; i++) {
			cqe = take_cqe(&rig.ch);
			check_op(cqe.cookie, <, 128);
			check(!(seen[cqe.cookie / 64] >> cqe.cookie % 64 & 1));
			seen[cqe.cookie / 64] |= 1ull << cqe.cookie % 64;
			check_eq(cqe.res, cqe.cookie == 77 ? -EINVAL : 4096);
		}
		for (i = 0; !(round % 2) && round && i < 128; i++) {
			if (i == 77 || (round >= 4 && i * 37 % 128 == 77))
				continue;
			check_filled(rig.pool.memory + 4096 * i, 4096,
				     4096ull * (round < 4 ? i : i * 37 % 128),
				     round < 4 ? round - 1 : 3);
		}
	}
	rig_close(&rig);
}

/* -------------------------------------------------------------- coherence */

/*
 * Readahead of somebody who uses the cache meets a write that is under way: pages
 * that came since the write was looked at may be older than it, and do not stay.
 */
TEST(pages_that_come_during_a_write_do_not_stay)
{
	char *page = aligned_alloc(PAGE, PAGE);
	struct iovec iov = { page, PAGE };
	char path[32];
	struct rig rig;
	uint64_t at;
	int fd;

	check(page);
	slow_disk(1, 300000000, path);
	rig_open(&rig, 4, 64 * KiB, path);
	fd = must(open(path, O_RDONLY | O_CLOEXEC));
	for (at = MiB; at < 48 * MiB; at += 8 * MiB) {
		/* every other time the write goes through the device's own code */
		if (at / MiB / 8 % 2)
			check_eq(pread(fd, page, PAGE, (off_t)at), PAGE);
		*next_sqe(&rig.ch) = io_sqe(PIRN_OP_WRITE, at, 0, PAGE);
		check_eq(enter(&rig.ch, 1), 1);
		nap_ms(100);
		check_eq(posix_fadvise(fd, (off_t)at, PAGE, POSIX_FADV_WILLNEED), 0);
		await_cqes(&rig.ch, 1);
		check_eq(take_cqe(&rig.ch).res, PAGE);
		/* what was read ahead is there by then, if it was not dropped */
		nap_ms(600);
		must_fail(preadv2(fd, &iov, 1, (off_t)at, RWF_NOWAIT), EAGAIN);
	}
	close(fd);
	free(page);
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserved_and_unused_fields_must_be_zero),
		cmocka_unit_test(unknown_ops_are_refused),
		cmocka_unit_test(indices_must_be_attached),
		cmocka_unit_test(ranges_and_alignment),
		cmocka_unit_test(the_end_of_a_device),
		cmocka_unit_test(a_target_is_used_as_its_fd_was_opened),
		cmocka_unit_test(a_read_only_device_and_swap_are_not_written),
		cmocka_unit_test(random_content_on_a_disk_in_memory),
		cmocka_unit_test(random_content_on_nvme),
		cmocka_unit_test(the_longest_op),
		cmocka_unit_test(a_batch_completes_each_with_its_own),
		cmocka_unit_test(pages_that_come_during_a_write_do_not_stay),
	};

	return run_program(argc, argv, "sqe", tests, array_size(tests));
}
