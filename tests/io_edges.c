// SPDX-License-Identifier: MIT
/* Ends of files, refusals and their reasons, closing. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "helpers.h"

static struct pirn_file *file;
static char *buf;		/* 64 KiB of IO memory */

static void take(int flags)
{
	check_eq(pirn_open(&file, test_target()->path, flags, 0), 0);
	buf = pirn_buf_alloc(64 * KiB);
	check(buf);
}

static void give(void)
{
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
}

/* -EINVAL with a reason that holds @word */
static void refused(ssize_t got, int error, const char *word)
{
	check_eq(got, error);
	if (!strstr(pirn_reason(), word))
		check_failed(__FILE__, __LINE__, "the reason does not tell '%s'", word);
}

/* -------------------------------------------------------------------- ends */

static int ends(void *arg)
{
	uint64_t end = test_target()->bytes;
	uint32_t block;

	(void)arg;
	take(O_RDWR);
	block = pirn_block_bytes(file);
	check_eq(pirn_size(file), end);
	fill(buf, block, 1, 1);
	check_eq(pirn_pwrite(file, buf, block, end - block, 0), block);
	/* across the end: clipped */
	memset(buf, 0, 8 * block);
	check_eq(pirn_pread(file, buf, 8 * block, end - block), block);
	check_filled(buf, block, 1, 1);
	/* at it and past it */
	memset(buf, 7, block);
	check_eq(pirn_pread(file, buf, block, end), 0);
	check_eq(pirn_pread(file, buf, block, end + block), 0);
	check_eq(pirn_pread(file, buf, block, end + (1ull << 32)), 0);
	check_eq(pirn_pread(file, buf, 64 * KiB, 1ull << 61), 0);
	check_eq(buf[0], 7);
	check_eq(buf[block - 1], 7);
	/* past what an offset can be */
	check_eq(pirn_pread(file, buf, 64 * KiB, (1ull << 63) - 4096), -EINVAL);
	check_eq(pirn_pread(file, buf, 4096, 1ull << 63), -EINVAL);
	check_eq(pirn_pread(file, buf, 4096, 0 - 4096ull), -EINVAL);
	check_eq(pirn_pwrite(file, buf, 4096, 0 - 4096ull, 0), -EINVAL);
	check_eq(pirn_pread(file, buf, 0, 0), 0);
	give();
	return 0;
}

TEST(reads_end_at_the_end)
{
	run_on(NULL, ends, NULL);
}

static int past_device_end(void *arg)
{
	uint64_t end = test_target()->bytes;
	uint32_t block;

	(void)arg;
	take(O_RDWR);
	block = pirn_block_bytes(file);
	fill(buf, 2 * block, end - 2 * block, 3);
	check_eq(pirn_pwrite(file, buf, 2 * block, end - 2 * block, 0), 2 * block);
	fill(buf, 64 * KiB, 0, 4);
	check_eq(pirn_pwrite(file, buf, block, end, 0), -ENOSPC);
	check_eq(pirn_pwrite(file, buf, 64 * KiB, end + (1ull << 33), 0), -ENOSPC);
	/* wholly past the end: nothing changed */
	check_eq(pirn_pread(file, buf, 2 * block, end - 2 * block), 2 * block);
	check_filled(buf, 2 * block, end - 2 * block, 3);
	/* across it: an error, and nothing changed before where it begins */
	fill(buf, 64 * KiB, 0, 4);
	check_eq(pirn_pwrite(file, buf, 4 * block, end - block, 0), -ENOSPC);
	check_eq(pirn_size(file), end);
	check_eq(pirn_pread(file, buf, block, end - 2 * block), block);
	check_filled(buf, block, end - 2 * block, 3);
	/* nor at the start, where a wrap would land */
	fill(buf, block, 0, 6);
	check_eq(pirn_pwrite(file, buf, block, 0, 0), block);
	check_eq(pirn_pwrite(file, buf, block, end, 0), -ENOSPC);
	check_eq(pirn_pread(file, buf, block, 0), block);
	check_filled(buf, block, 0, 6);
	check_eq(pirn_truncate(file, end), -EINVAL);
	give();
	return 0;
}

TEST(writes_do_not_pass_the_end_of_a_device)
{
	if (!test_target()->block)
		skip_case("the target is no block device");
	run_on(NULL, past_device_end, NULL);
}

static int regular(void *arg)
{
	const char *path = arg;

	buf = pirn_buf_alloc(64 * KiB);
	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT | O_EXCL, 0640), 0);
	check_eq(pirn_size(file), 0);
	check_eq(pirn_pread(file, buf, 4096, 0), 0);
	/* a write past the end makes it longer, with a hole before */
	fill(buf, 8192, 4096, 1);
	check_eq(pirn_pwrite(file, buf, 8192, 4096, 0), 8192);
	check_eq(pirn_size(file), 12288);
	check_eq(pirn_truncate(file, 10000), 0);
	check_eq(pirn_size(file), 10000);
	memset(buf, 1, 64 * KiB);
	check_eq(pirn_pread(file, buf, 16384, 0), 10000);
	check_eq(buf[0] | buf[4095], 0);
	check_filled(buf + 4096, 10000 - 4096, 4096, 1);
	check_eq(pirn_pread(file, buf, 16384, 8192), 10000 - 8192);
	check_eq(pirn_pread(file, buf, 16384, 12288), 0);
	check_eq(pirn_truncate(file, 1ull << 63), -EINVAL);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_close(file), 0);

	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT | O_EXCL, 0640), -EEXIST);
	check_eq(pirn_open(&file, path, O_RDWR | O_TRUNC, 0), 0);
	check_eq(pirn_size(file), 0);
	give();
	return 0;
}

TEST(regular_files_work)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", new_path("regular"));
	run_on(NULL, regular, path);
}

static int buffered(void *arg)
{
	const char *path = arg;
	char text[100];
	int fd;

	buf = pirn_buf_alloc(64 * KiB);
	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT | PIRN_O_BUFFERED, 0600), 0);
	check_eq(pirn_block_bytes(file), 1);
	check_eq(pirn_memory_align(file), 1);
	fill(buf + 3, 1001, 0, 2);
	check_eq(pirn_pwrite(file, buf + 3, 1001, 77, 0), 1001);
	check_eq(pirn_size(file), 1078);
	check_eq(pirn_pread(file, buf + 2001, 5000, 77), 1001);
	check_filled(buf + 2001, 1001, 0, 2);
	check_eq(pirn_pread(file, buf, 1, 1078), 0);
	if (!simulated()) {
		fd = must(open(path, O_RDONLY));
		check_eq(pread(fd, text, 100, 77), 100);
		check_filled(text, 96, 0, 2);
		close(fd);
	}
	/* still IO memory only */
	check_eq(pirn_pread(file, text, 10, 0), -EFAULT);
	check_eq(pirn_fsync(file), 0);
	give();
	return 0;
}

TEST(buffered_files_take_any_offset)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", new_path("buffered"));
	run_on(NULL, buffered, path);
}

/* ---------------------------------------------------------------- refusals */

static int alignment(void *arg)
{
	uint32_t block, align;

	(void)arg;
	take(O_RDWR);
	block = pirn_block_bytes(file);
	align = pirn_memory_align(file);
	check(block >= 512 && !(block & (block - 1)));
	check(align >= 1 && !(align & (align - 1)));
	fill(buf, block, 0, 8);
	check_eq(pirn_pwrite(file, buf, block, 0, 0), block);

	refused(pirn_pread(file, buf, block, 1), -EINVAL, "offset");
	refused(pirn_pread(file, buf, block, block / 2), -EINVAL, "offset");
	refused(pirn_pread(file, buf, block + 1, 0), -EINVAL, "length");
	refused(pirn_pread(file, buf, block - 1, 0), -EINVAL, "length");
	refused(pirn_pwrite(file, buf, block, block / 2, 0), -EINVAL, "offset");
	refused(pirn_pwrite(file, buf, block / 2, 0, 0), -EINVAL, "length");
	if (align > 1) {
		refused(pirn_pread(file, buf + 1, block, 0), -EINVAL, "align");
		refused(pirn_pwrite(file, buf + align / 2, block, 0, 0), -EINVAL,
			"align");
	}
	refused(pirn_pwrite(file, buf, block, 0, 2), -EINVAL, "flags");
	refused(pirn_pwrite(file, buf, block, 0, 1u << 31 | PIRN_DSYNC), -EINVAL,
		"flags");
	/* what is aligned to just that works */
	check_eq(pirn_pread(file, buf + align, block, 0), block);
	check_filled(buf + align, block, 0, 8);
	give();
	return 0;
}

TEST(what_is_not_aligned_is_refused_with_a_reason)
{
	run_on(NULL, alignment, NULL);
}

static int memory(void *arg)
{
	char stack[8192] __attribute__((aligned(4096)));
	char *heap = aligned_alloc(4096, 8192), *pool;

	(void)arg;
	take(O_RDWR);
	refused(pirn_pread(file, stack, 4096, 0), -EFAULT, "pirn_buf_alloc");
	refused(pirn_pwrite(file, heap, 4096, 0, 0), -EFAULT, "pirn_buf_alloc");
	check_eq(pirn_pread(file, NULL, 4096, 0), -EFAULT);
	check_eq(pirn_pread(file, (void *)(UINTPTR_MAX - 4095), 4096, 0), -EFAULT);
	check_eq(pirn_buf_free(buf), 0);
	/* across the ends of the pool, which is now one piece */
	pool = pirn_buf_alloc(16 * MiB);
	check(pool);
	refused(pirn_pread(file, pool + 16 * MiB - 4096, 8192, 0), -EFAULT,
		"of 8192 bytes");
	refused(pirn_pread(file, pool - 4096, 8192, 0), -EFAULT, "of 8192 bytes");
	refused(pirn_pread(file, pool, 16 * MiB + 4096, 0), -EFAULT, "bytes");
	check_op(pirn_pread(file, pool, SIZE_MAX & ~4095ull, 0), <, 0);
	check_eq(pirn_pread(file, pool + 16 * MiB - 4096, 4096, 0), 4096);
	check_eq(pirn_buf_free(pool), 0);
	check_eq(pirn_close(file), 0);
	free(heap);
	return 0;
}

TEST(only_io_memory_is_taken)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char cpu[16];

	/* one core: beside its pool lies no other */
	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	opt.cpus = cpu;
	opt.pool_bytes = 16 * MiB;
	run_on(&opt, memory, NULL);
}

static int directions(void *arg)
{
	(void)arg;
	take(O_RDWR);
	fill(buf, 4096, 0, 1);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	give();
	take(O_RDONLY);
	fill(buf, 4096, 0, 2);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), -EBADF);
	check_eq(pirn_pwrite(file, buf, 4096, 0, PIRN_DSYNC), -EBADF);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_filled(buf, 4096, 0, 1);
	give();
	take(O_WRONLY);
	fill(buf, 4096, 0, 3);
	check_eq(pirn_pread(file, buf, 4096, 0), -EBADF);
	check_filled(buf, 4096, 0, 3);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	check_eq(pirn_fsync(file), 0);
	give();
	take(O_RDONLY);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_filled(buf, 4096, 0, 3);
	give();
	return 0;
}

TEST(a_file_is_used_as_it_was_opened)
{
	run_on(NULL, directions, NULL);
}

static void set_read_only(int value)
{
	int fd = must(open(test_target()->path, O_RDONLY | O_CLOEXEC));

	must(ioctl(fd, BLKROSET, &value));
	close(fd);
}

static int read_only_device(void *arg)
{
	ssize_t got;

	(void)arg;
	take(O_RDWR);
	fill(buf, 4096, 0, 1);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	/* while it is open for writing */
	set_read_only(1);
	fill(buf, 4096, 0, 2);
	got = pirn_pwrite(file, buf, 4096, 0, 0);
	set_read_only(0);
	check(got == -EPERM || got == -EROFS);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_filled(buf, 4096, 0, 1);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	give();
	return 0;
}

TEST(a_device_made_read_only_is_not_written)
{
	if (!test_target()->block)
		skip_case("the target is no block device");
	run_on(NULL, read_only_device, NULL);
}

/* ----------------------------------------------------------------- closing */

static int read_once(void *arg)
{
	(void)arg;
	check_eq(pirn_pread(file, buf, 64 * KiB, 0), 64 * KiB);
	return 0;
}

static bool stop_reading;

static int keep_reading(void *arg)
{
	(void)arg;
	while (!stop_reading)
		check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	return 0;
}

static int close_there(void *arg)
{
	(void)arg;
	return pirn_close(file);
}

static int closing(void *arg)
{
	struct pirn_fiber *fiber[8];
	int i, result;

	(void)arg;
	take(O_RDWR);
	/* the op is queued and not reaped: this fiber has not parked since */
	check_eq(pirn_spawn(&fiber[0], read_once, NULL), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_close(file), -EBUSY);
	check_op(strlen(pirn_reason()), >, 5);
	check_eq(pirn_join(fiber[0], NULL), 0);

	/* of eight that never pause, some op is under way at each moment */
	for (i = 0; i < 8; i++)
		check_eq(pirn_spawn(&fiber[i], keep_reading, NULL), 0);
	check_eq(pirn_yield(), 0);
	for (i = 0; i < 50; i++) {
		check_eq(pirn_call((unsigned int)i % (unsigned int)pirn_core_count(),
				   close_there, NULL, &result), 0);
		check_eq(result, -EBUSY);
	}
	stop_reading = true;
	for (i = 0; i < 8; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_eq(pirn_call((unsigned int)pirn_core_count() - 1, close_there, NULL,
			   &result), 0);
	check_eq(result, 0);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

TEST(close_refuses_while_an_op_is_under_way)
{
	run_on(NULL, closing, NULL);
}

static int read_there(void *arg)
{
	return (int)pirn_pread(arg, buf, 4096, 0);
}

/* More files than a channel or ring has slots for, one after the other. */
static int many_opens(void *arg)
{
	unsigned int i, n = *(unsigned int *)arg;
	int result;

	take(O_RDWR);
	for (i = 0; i < n; i++) {
		struct pirn_file *f;

		check_eq(pirn_open(&f, test_target()->path, O_RDONLY, 0), 0);
		check_eq(pirn_pread(f, buf, 4096, 0), 4096);
		check_eq(pirn_call(i % (unsigned int)pirn_core_count(), read_there, f,
				   &result), 0);
		check_eq(result, 4096);
		check_eq(pirn_close(f), 0);
	}
	give();
	return 0;
}

TEST(a_closed_file_leaves_its_place)
{
	unsigned int n = 1500;

	run_on(NULL, many_opens, &n);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_end_at_the_end),
		cmocka_unit_test(writes_do_not_pass_the_end_of_a_device),
		cmocka_unit_test(regular_files_work),
		cmocka_unit_test(buffered_files_take_any_offset),
		cmocka_unit_test(what_is_not_aligned_is_refused_with_a_reason),
		cmocka_unit_test(only_io_memory_is_taken),
		cmocka_unit_test(a_file_is_used_as_it_was_opened),
		cmocka_unit_test(a_device_made_read_only_is_not_written),
		cmocka_unit_test(close_refuses_while_an_op_is_under_way),
		cmocka_unit_test(a_closed_file_leaves_its_place),
	};

	return run_program(argc, argv, "io_edges", tests, array_size(tests));
}
