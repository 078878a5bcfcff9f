// SPDX-License-Identifier: MIT
/*
 * pirn_fallocate(), pirn_write_zeroes(), pirn_discard() and pirn_fdatasync(), on
 * files and, where the target is one, a block device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <pirn/scope.h>

#include "helpers.h"

#define PIECE (64u * KiB)
#define KEEP FALLOC_FL_KEEP_SIZE
#define ZERO FALLOC_FL_ZERO_RANGE
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct pirn_file *file;
static char *buf;		/* 256 KiB of IO memory */

static void take(const char *path, int flags)
{
	check_eq(pirn_open(&file, path, flags, 0600), 0);
	buf = pirn_buf_alloc(256 * KiB);
	check(buf);
}

static void give(void)
{
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
}

static void fill_pieces(unsigned int n, uint64_t seed)
{
	fill(buf, n * PIECE, 0, seed);
	check_eq(pirn_pwrite(file, buf, n * PIECE, 0, 0), n * PIECE);
}

static void check_zeros(const char *at, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (at[i])
			check_failed(__FILE__, __LINE__, "byte %zu of %zu is no zero",
				     i, bytes);
}

/* Four pieces: the middle two, from half a piece on, are zeros. */
static void check_middle(uint64_t seed)
{
	memset(buf, 1, 4 * PIECE);
	check_eq(pirn_pread(file, buf, 4 * PIECE, 0), 4 * PIECE);
	check_filled(buf, PIECE / 2, 0, seed);
	check_zeros(buf + PIECE / 2, 2 * PIECE);
	check_filled(buf + 5 * PIECE / 2, 3 * PIECE / 2, 5 * PIECE / 2, seed);
}

/* What the file system of the tests cannot do at all. */
static bool cannot(int err)
{
	check(err == 0 || err == -EOPNOTSUPP);
	if (err)
		check_op(strlen(pirn_reason()), >, 5);
	return err;
}

/* ------------------------------------------------------------------- zeroes */

static int zeroes(void *arg)
{
	int err;

	take(arg, O_RDWR | O_CREAT);
	fill_pieces(4, 1);
	err = pirn_write_zeroes(file, PIECE / 2, 2 * PIECE);
	if (cannot(err))
		return 1;
	check_middle(1);
	check_eq(pirn_fdatasync(file), 0);
	fill_pieces(4, 2);
	check_eq(pirn_fallocate(file, ZERO | KEEP, PIECE / 2, 2 * PIECE), 0);
	check_middle(2);
	check_eq(pirn_fsync(file), 0);
	/* and is written again */
	fill_pieces(4, 3);
	memset(buf, 0, 4 * PIECE);
	check_eq(pirn_pread(file, buf, 4 * PIECE, 0), 4 * PIECE);
	check_filled(buf, 4 * PIECE, 0, 3);
	give();
	return 0;
}

static void run_or_skip(int (*fn)(void *arg), const char *path)
{
	if (run_on(NULL, fn, (void *)(uintptr_t)path))
		skip_case("this file system cannot do it");
}

TEST(a_range_reads_as_zeros)
{
	run_or_skip(zeroes, test_target()->path);
}

TEST(a_range_of_a_file_reads_as_zeros)
{
	run_or_skip(zeroes, new_path("zeroes"));
}

static int punched(void *arg)
{
	int err;

	take(arg, O_RDWR | O_CREAT);
	fill_pieces(4, 4);
	err = pirn_fallocate(file, PUNCH, PIECE / 2, 2 * PIECE);
	if (cannot(err))
		return 1;
	check_middle(4);
	give();
	return 0;
}

TEST(holes_read_as_zeros)
{
	run_or_skip(punched, test_target()->path);
}

TEST(holes_of_a_file_read_as_zeros)
{
	run_or_skip(punched, new_path("holes"));
}

/* ------------------------------------------------------------------ lengths */

static int lengths(void *arg)
{
	struct stat st;
	const char *path = arg;
	int err;

	take(path, O_RDWR | O_CREAT | O_EXCL);
	err = pirn_fallocate(file, 0, 0, MiB);
	if (cannot(err))
		return 1;
	check_eq(pirn_size(file), MiB);
	check_eq(pirn_pread(file, buf, PIECE, MiB - PIECE), PIECE);
	check_zeros(buf, PIECE);
	check_eq(pirn_fallocate(file, KEEP, MiB, MiB), 0);
	check_eq(pirn_size(file), MiB);
	if (!simulated()) {
		must(stat(path, &st));
		check_op(st.st_blocks, >=, 2 * MiB / 512);
	}
	/* what is there stays, and a shorter range shortens nothing */
	fill_pieces(2, 5);
	check_eq(pirn_fallocate(file, 0, 0, PIECE), 0);
	check_eq(pirn_size(file), MiB);
	memset(buf, 0, PIECE);
	check_eq(pirn_pread(file, buf, PIECE, 0), PIECE);
	check_filled(buf, PIECE, 0, 5);
	check_eq(pirn_fallocate(file, ZERO | KEEP, MiB - PIECE, 2 * PIECE), 0);
	check_eq(pirn_fallocate(file, PUNCH, MiB - PIECE, 2 * PIECE), 0);
	check_eq(pirn_fallocate(file, PUNCH, 4 * MiB, PIECE), 0);
	check_eq(pirn_size(file), MiB);
	check_eq(pirn_write_zeroes(file, MiB - PIECE, 2 * PIECE), 0);
	check_eq(pirn_size(file), MiB + PIECE);
	check_eq(pirn_pread(file, buf, 2 * PIECE, MiB), PIECE);
	check_zeros(buf, PIECE);
	check_eq(pirn_fdatasync(file), 0);
	give();
	return 0;
}

TEST(the_length_grows_unless_it_is_kept)
{
	run_or_skip(lengths, new_path("lengths"));
}

/* More than 32 bits of bytes in one op. */
static int long_range(void *arg)
{
	uint64_t most = simulated() ? 64ull * MiB : 5ull << 30;
	int err;

	take(arg, O_RDWR | O_CREAT | O_EXCL);
	check_eq(pirn_truncate(file, most + PIECE), 0);
	fill(buf, PIECE, 0, 6);
	check_eq(pirn_pwrite(file, buf, PIECE, 0, 0), PIECE);
	check_eq(pirn_pwrite(file, buf, PIECE, PIECE, 0), PIECE);
	check_eq(pirn_pwrite(file, buf, PIECE, most - PIECE, 0), PIECE);
	check_eq(pirn_pwrite(file, buf, PIECE, most, 0), PIECE);
	err = pirn_fallocate(file, PUNCH, PIECE, most - PIECE);
	if (cannot(err))
		return 1;
	check_eq(pirn_pread(file, buf, PIECE, PIECE), PIECE);
	check_zeros(buf, PIECE);
	check_eq(pirn_pread(file, buf, PIECE, most - PIECE), PIECE);
	check_zeros(buf, PIECE);
	check_eq(pirn_pread(file, buf, PIECE, 0), PIECE);
	check_filled(buf, PIECE, 0, 6);
	check_eq(pirn_pread(file, buf, PIECE, most), PIECE);
	check_filled(buf, PIECE, 0, 6);
	give();
	return 0;
}

TEST(a_range_may_be_longer_than_32_bits)
{
	run_or_skip(long_range, new_path("long"));
}

static int buffered(void *arg)
{
	int err;

	take(arg, O_RDWR | O_CREAT | PIRN_O_BUFFERED);
	fill(buf, 10000, 0, 7);
	check_eq(pirn_pwrite(file, buf, 10000, 0, 0), 10000);
	err = pirn_write_zeroes(file, 77, 8000);
	if (cannot(err))
		return 1;
	memset(buf, 1, 10000);
	check_eq(pirn_pread(file, buf, 20000, 0), 10000);
	check_filled(buf, 72, 0, 7);
	check_zeros(buf + 77, 8000);
	check_filled(buf + 8080, 1920, 8080, 7);
	check_eq(pirn_fallocate(file, 0, 9999, 3), 0);
	check_eq(pirn_size(file), 10002);
	check_eq(pirn_fdatasync(file), 0);
	check_eq(pirn_fsync(file), 0);
	give();
	return 0;
}

TEST(a_buffered_file_takes_any_range)
{
	run_or_skip(buffered, new_path("buffered"));
}

/* ----------------------------------------------------------------- a device */

static int device(void *arg)
{
	uint64_t end = test_target()->bytes;
	uint32_t block;

	(void)arg;
	take(test_target()->path, O_RDWR);
	block = pirn_block_bytes(file);
	/* nothing to allocate, and an end */
	check_eq(pirn_fallocate(file, 0, 0, PIECE), -EOPNOTSUPP);
	check_op(strlen(pirn_reason()), >, 5);
	check_eq(pirn_fallocate(file, KEEP, 0, PIECE), -EOPNOTSUPP);
	fill(buf, 2 * block, 0, 8);
	check_eq(pirn_pwrite(file, buf, 2 * block, end - 2 * block, 0), 2 * block);
	check_eq(pirn_write_zeroes(file, end - block, 2 * block), -EINVAL);
	check_eq(pirn_write_zeroes(file, end, block), -EINVAL);
	check_eq(pirn_fallocate(file, ZERO | KEEP, end, block), -EINVAL);
	check_eq(pirn_fallocate(file, PUNCH, end + block, block), -EINVAL);
	check_eq(pirn_discard(file, end - block, 2 * block), -EINVAL);
	check_eq(pirn_discard(file, end, block), -EINVAL);
	check_eq(pirn_pread(file, buf, 2 * block, end - 2 * block), 2 * block);
	check_filled(buf, 2 * block, 0, 8);
	/* clipped */
	check_eq(pirn_fallocate(file, ZERO | KEEP, end - block, 2 * block), 0);
	check_eq(pirn_pread(file, buf, 2 * block, end - 2 * block), 2 * block);
	check_filled(buf, block, 0, 8);
	check_zeros(buf + block, block);
	check_eq(pirn_size(file), end);
	give();
	return 0;
}

static int discarded(void *arg)
{
	int err;

	(void)arg;
	take(test_target()->path, O_RDWR);
	fill_pieces(4, 9);
	err = pirn_discard(file, PIECE, 2 * PIECE);
	if (cannot(err))
		return 1;
	/* those around it are what they were */
	check_eq(pirn_pread(file, buf, 4 * PIECE, 0), 4 * PIECE);
	check_filled(buf, PIECE, 0, 9);
	check_filled(buf + 3 * PIECE, PIECE, 3 * PIECE, 9);
	/* and it can be written */
	fill(buf, 2 * PIECE, PIECE, 10);
	check_eq(pirn_pwrite(file, buf, 2 * PIECE, PIECE, 0), 2 * PIECE);
	check_eq(pirn_fdatasync(file), 0);
	check_eq(pirn_pread(file, buf, 4 * PIECE, 0), 4 * PIECE);
	check_filled(buf + PIECE, 2 * PIECE, PIECE, 10);
	give();
	return 0;
}

TEST(a_device_has_an_end_and_no_blocks_to_allocate)
{
	if (!test_target()->block)
		skip_case("the target is no block device");
	run_on(NULL, device, NULL);
}

TEST(what_is_discarded_can_be_written_again)
{
	if (!test_target()->block)
		skip_case("the target is no block device");
	run_or_skip(discarded, NULL);
}

/* ---------------------------------------------------------------- refusals */

/* Each of the three that change a range, with what is wrong. */
static void all_refuse(uint64_t offset, uint64_t bytes, int error)
{
	check_eq(pirn_write_zeroes(file, offset, bytes), error);
	check_op(strlen(pirn_reason()), >, 5);
	check_eq(pirn_fallocate(file, PUNCH, offset, bytes), error);
	check_op(strlen(pirn_reason()), >, 5);
	check_eq(pirn_fallocate(file, KEEP, offset, bytes), error);
	if (!test_target()->block)
		error = error == -EBADF ? error : -EOPNOTSUPP;
	check_eq(pirn_discard(file, offset, bytes), error);
	check_op(strlen(pirn_reason()), >, 5);
}

static int refusals(void *arg)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE, 1 << 20, -1,
	};
	uint32_t block;
	unsigned int i;

	(void)arg;
	take(test_target()->path, O_RDWR);
	block = pirn_block_bytes(file);
	fill_pieces(4, 11);
	all_refuse(0, 0, -EINVAL);
	all_refuse(1, PIECE, -EINVAL);
	all_refuse(block / 2, PIECE, -EINVAL);
	all_refuse(0, PIECE + 1, -EINVAL);
	all_refuse(0, block - 1, -EINVAL);
	all_refuse(1ull << 63, PIECE, -EINVAL);
	all_refuse((1ull << 63) - PIECE, PIECE, -EINVAL);
	all_refuse(PIECE, 0 - (uint64_t)PIECE, -EINVAL);
	all_refuse(0, 1ull << 63, -EINVAL);
	for (i = 0; i < array_size(modes); i++) {
		check_eq(pirn_fallocate(file, modes[i], 0, PIECE), -EOPNOTSUPP);
		check(strstr(pirn_reason(), "mode"));
	}
	memset(buf, 0, 4 * PIECE);
	check_eq(pirn_pread(file, buf, 4 * PIECE, 0), 4 * PIECE);
	check_filled(buf, 4 * PIECE, 0, 11);
	give();

	take(test_target()->path, O_RDONLY);
	all_refuse(0, PIECE, -EBADF);
	check_eq(pirn_fdatasync(file), 0);
	give();
	take(test_target()->path, O_WRONLY);
	check_eq(pirn_fdatasync(file), 0);
	give();
	check_eq(pirn_fdatasync(NULL), -EINVAL);
	check_eq(pirn_write_zeroes(NULL, 0, PIECE), -EINVAL);
	check_eq(pirn_discard(NULL, 0, PIECE), -EINVAL);
	return 0;
}

TEST(what_is_wrong_is_refused_and_changes_nothing)
{
	check_eq(pirn_fdatasync(NULL), -EPERM);
	check_eq(pirn_fallocate(NULL, 0, 0, PIECE), -EPERM);
	check_eq(pirn_write_zeroes(NULL, 0, PIECE), -EPERM);
	check_eq(pirn_discard(NULL, 0, PIECE), -EPERM);
	run_on(NULL, refusals, NULL);
}

static int cancelled(void *arg)
{
	struct pirn_scope scope;

	(void)arg;
	take(test_target()->path, O_RDWR);
	fill_pieces(1, 12);
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(pirn_write_zeroes(file, 0, PIECE), -ECANCELED);
	check_eq(pirn_fdatasync(file), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	check_eq(pirn_pread(file, buf, PIECE, 0), PIECE);
	check_filled(buf, PIECE, 0, 12);
	/* and nothing stays with the handle */
	check_eq(pirn_fdatasync(file), 0);
	give();
	return 0;
}

TEST(a_scope_that_has_ended_refuses_them)
{
	run_on(NULL, cancelled, NULL);
}

/* --------------------------------------------------------------- many at once */

static unsigned int next_fiber;

static int one_of_many(void *arg)
{
	uint64_t at = (uint64_t)next_fiber++ * PIECE;
	char *mine = pirn_buf_alloc(PIECE);
	unsigned int i;
	int err;

	check(mine);
	for (i = 0; i < *(unsigned int *)arg; i++) {
		fill(mine, PIECE, at, i);
		check_eq(pirn_pwrite(file, mine, PIECE, at, 0), PIECE);
		err = pirn_write_zeroes(file, at + 4096, PIECE - 8192);
		if (cannot(err))
			break;
		check_eq(i % 2 ? pirn_fdatasync(file) : pirn_fsync(file), 0);
		memset(mine, 1, PIECE);
		check_eq(pirn_pread(file, mine, PIECE, at), PIECE);
		check_filled(mine, 4096, at, i);
		check_zeros(mine + 4096, PIECE - 8192);
		check_filled(mine + PIECE - 4096, 4096, at + PIECE - 4096, i);
	}
	check_eq(pirn_buf_free(mine), 0);
	return 0;
}

static int many(void *arg)
{
	take(test_target()->path, O_RDWR);
	run_fibers(40, one_of_many, arg);
	give();
	return 0;
}

TEST(more_than_there_is_room_for)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int rounds = scaled(10, 3);

	opt.io_depth = 8;
	run_on(&opt, many, &rounds);
}

static int sync_there(void *arg)
{
	return pirn_fdatasync(arg);
}

static int everywhere(void *arg)
{
	int core, result;

	(void)arg;
	take(test_target()->path, O_RDWR);
	for (core = 0; core < pirn_core_count(); core++) {
		fill_pieces(1, 13);
		check_eq(pirn_call((unsigned int)core, sync_there, file, &result), 0);
		check_eq(result, 0);
	}
	give();
	return 0;
}

TEST(any_core_may_ask)
{
	run_on(NULL, everywhere, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_reads_as_zeros),
		cmocka_unit_test(a_range_of_a_file_reads_as_zeros),
		cmocka_unit_test(holes_read_as_zeros),
		cmocka_unit_test(holes_of_a_file_read_as_zeros),
		cmocka_unit_test(the_length_grows_unless_it_is_kept),
		cmocka_unit_test(a_range_may_be_longer_than_32_bits),
		cmocka_unit_test(a_buffered_file_takes_any_range),
		cmocka_unit_test(a_device_has_an_end_and_no_blocks_to_allocate),
		cmocka_unit_test(what_is_discarded_can_be_written_again),
		cmocka_unit_test(what_is_wrong_is_refused_and_changes_nothing),
		cmocka_unit_test(a_scope_that_has_ended_refuses_them),
		cmocka_unit_test(more_than_there_is_room_for),
		cmocka_unit_test(any_core_may_ask),
	};

	return run_program(argc, argv, "space", tests, array_size(tests));
}
