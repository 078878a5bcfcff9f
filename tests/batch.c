// SPDX-License-Identifier: MIT
/* pirn_read_all(), pirn_write_all(): many ops, one park. */
#include <errno.h>
#include <fcntl.h>

#include <pirn/batch.h>
#include <pirn/scope.h>

#include "device.h"
#include "held.h"
#include "target.h"

#define MS 1000000ull
#define MOST 100u

/* @nr ranges of 4 KiB, the i-th at i * 4 KiB of @buf and i * stride of the file. */
static void ranges(struct pirn_io *ios, unsigned int nr, struct pirn_file *file,
		   char *buf, uint64_t stride)
{
	for (unsigned int i = 0; i < nr; i++)
		ios[i] = (struct pirn_io){
			.file = file, .buf = buf + 4096 * i, .bytes = 4096,
			.offset = stride * i, .result = -1000,
		};
}

/* --------------------------------------------------------- on a real disk */

static int all_numbers(void *arg)
{
	static const unsigned int numbers[] = { 1, 2, 3, 8, 16, 17, 33, MOST };
	static struct pirn_io ios[MOST];
	struct pirn_file *file = open_target();
	char *buf = pirn_buf_alloc(512 * KiB);
	unsigned int i, n, nr;

	(void)arg;
	check_eq(pirn_read_all(ios, 0), 0);
	for (n = 0; n < array_size(numbers); n++) {
		nr = numbers[n];
		for (i = 0; i < nr; i++)
			fill(buf + 4096 * i, 4096, i, n);
		ranges(ios, nr, file, buf, 12288);
		check_eq(pirn_write_all(ios, nr, n % 2 ? PIRN_DSYNC : 0), 0);
		for (i = 0; i < nr; i++)
			check_eq(ios[i].result, 4096);
		memset(buf, 0, 512 * KiB);
		ranges(ios, nr, file, buf, 12288);
		check_eq(pirn_read_all(ios, nr), 0);
		for (i = 0; i < nr; i++) {
			check_eq(ios[i].result, 4096);
			check_filled(buf + 4096 * i, 4096, i, n);
		}
	}
	check_eq(pirn_buf_free(buf), 0);
	/* nothing is under way any more */
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(any_number_moves_the_right_bytes)
{
	run_on(NULL, all_numbers, NULL);
}

static int one_of_many(void *arg)
{
	struct pirn_file *file = arg;
	struct pirn_io ios[24];
	char *buf = pirn_buf_alloc(128 * KiB);
	unsigned int round;

	for (round = 0; round < 10; round++) {
		ranges(ios, 24, file, buf, 4096);
		check_eq(pirn_read_all(ios, 24), 0);
		for (unsigned int i = 0; i < 24; i++)
			check_filled(buf + 4096 * i, 4096, 4096 * i, 3);
	}
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static int little_room(void *arg)
{
	struct pirn_file *file = open_target();
	char *buf = pirn_buf_alloc(128 * KiB);

	(void)arg;
	fill(buf, 24 * 4096, 0, 3);
	check_eq(pirn_pwrite(file, buf, 24 * 4096, 0, 0), 24 * 4096);
	run_fibers(6, one_of_many, file);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(more_than_there_is_room_for)
{
	static const uint32_t depths[] = { 2, 3, 4, 9, 17, 64 };
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	for (size_t i = 0; i < array_size(depths); i++) {
		opt.io_depth = depths[i];
		opt.io_batch = 1 + depths[i] / 2;
		run_on(&opt, little_room, NULL);
	}
}

static int the_end(void *arg)
{
	struct pirn_file *file = open_target();
	uint64_t size = (uint64_t)pirn_size(file);
	char *buf = pirn_buf_alloc(64 * KiB);
	struct pirn_io ios[4];

	(void)arg;
	ranges(ios, 4, file, buf, 4096);
	ios[0].offset = size;
	ios[1].offset = size - 4096;
	ios[1].bytes = 8192;
	ios[2].bytes = 0;
	check_eq(pirn_read_all(ios, 4), 0);
	check_eq(ios[0].result, 0);
	check_eq(ios[1].result, 4096);
	check_eq(ios[2].result, 0);
	check_eq(ios[3].result, 4096);
	/* of nothing at all */
	for (unsigned int i = 0; i < 4; i++)
		ios[i].bytes = 0;
	check_eq(pirn_write_all(ios, 4, 0), 0);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(ends_of_files_and_empty_ranges)
{
	run_on(NULL, the_end, NULL);
}

/* One wrong argument, wherever it stands, and nothing has happened. */
static int wrong(void *arg)
{
	struct pirn_file *file = open_target();
	char *buf = pirn_buf_alloc(64 * KiB), stack[4096];
	struct pirn_io ios[5];
	unsigned int i;
	uint64_t before = stats_now().submitted;

	(void)arg;
	for (i = 0; i < 5; i++) {
		ranges(ios, 5, file, buf, 4096);
		ios[i].offset = 1;
		check_eq(pirn_read_all(ios, 5), -EINVAL);
		check_eq(ios[0].result, -1000);
		ranges(ios, 5, file, buf, 4096);
		ios[i].bytes = 2 * MiB;
		check_eq(pirn_write_all(ios, 5, 0), -EINVAL);
		ranges(ios, 5, file, buf, 4096);
		ios[i].buf = stack + (-(uintptr_t)stack & 511);
		ios[i].bytes = 512;
		if (pirn_block_bytes(file) <= 512)
			check_eq(pirn_read_all(ios, 5), -EFAULT);
		ranges(ios, 5, file, buf, 4096);
		ios[i].file = NULL;
		check_eq(pirn_read_all(ios, 5), -EINVAL);
	}
	ranges(ios, 5, file, buf, 4096);
	check_eq(pirn_write_all(ios, 5, 2), -EINVAL);
	check_eq(stats_now().submitted, before);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(one_that_is_wrong_stops_all)
{
	struct pirn_io io = { 0 };

	check_eq(pirn_read_all(&io, 1), -EPERM);
	check_eq(pirn_write_all(&io, 1, 0), -EPERM);
	run_on(NULL, wrong, NULL);
}

/* ------------------------------------------------------------ on a held disk */

struct caller {
	struct pirn_io ios[4];
	struct pirn_scope scope;
	struct pirn_file *file;
	unsigned int flags;
	bool writes;
	int result;
};

static int call_all(void *arg)
{
	struct caller *c = arg;
	char *buf = pirn_buf_alloc(64 * KiB);

	check_eq(pirn_scope_begin(&c->scope, PIRN_NEVER), 0);
	ranges(c->ios, 4, c->file, buf, 4096);
	c->ios[3].bytes = 8192;
	c->result = c->writes ? pirn_write_all(c->ios, 4, c->flags) :
				pirn_read_all(c->ios, 4);
	pirn_scope_end(&c->scope);
	return pirn_buf_free(buf);
}

static struct pirn_fiber *start(struct caller *c, struct pirn_file *file,
				bool writes, unsigned int flags)
{
	struct pirn_fiber *fiber;

	*c = (struct caller){ .file = file, .writes = writes, .flags = flags,
			      .result = -1000 };
	check_eq(pirn_spawn(&fiber, call_all, c), 0);
	check_eq(pirn_sleep(MS), 0);
	return fiber;
}

static struct pirn_file *open_held(void)
{
	hold_begin();
	return open_target();
}

static int errors(void *arg)
{
	struct pirn_file *file = open_held();
	struct pirn_fiber *fiber;
	struct caller c;

	(void)arg;
	held.keep = true;
	fiber = start(&c, file, false, 0);
	check_eq(held.count, 4);
	check_eq(pirn_close(file), -EBUSY);
	hold_end_first(4096);
	hold_end_first(-EIO);
	hold_end_first(-ETIMEDOUT);	/* the device's, not a scope's */
	check_eq(pirn_sleep(MS), 0);
	/* it waits for the last one */
	check_eq(c.result, -1000);
	held.keep = false;		/* what is missing of it is read */
	hold_end_first(4096);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, -EIO);
	check_eq(c.ios[0].result, 4096);
	check_eq(c.ios[1].result, -EIO);
	check_eq(c.ios[2].result, -EIO);
	check_eq(c.ios[3].result, 8192);

	/* an error of a durable write stays with the file */
	check_eq(pirn_fsync(file), 0);
	held.keep = true;
	fiber = start(&c, file, true, PIRN_DSYNC);
	hold_end_first(4096);
	hold_end_first(4096);
	hold_end_first(-ENODATA);
	hold_end_first(8192);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, -ENODATA);
	check_eq(c.ios[3].result, 8192);
	held.keep = false;
	check_eq(pirn_fsync(file), -ENODATA);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(each_has_its_result_and_the_first_error_is_told)
{
	run_on(NULL, errors, NULL);
}

static int cancelled(void *arg)
{
	struct pirn_file *file = open_held();
	struct pirn_fiber *fiber;
	struct pirn_scope scope;
	struct pirn_io ios[4];
	char *buf = pirn_buf_alloc(64 * KiB);
	struct caller c;

	(void)arg;
	/* before: nothing is issued */
	held.keep = true;
	ranges(ios, 4, file, buf, 4096);
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(pirn_read_all(ios, 4), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	check_eq(ios[0].result, -1000);
	check_eq(held.count, 0);

	/* while it waits for room: the same */
	held.full = true;
	fiber = start(&c, file, false, 0);
	check_eq(pirn_scope_cancel(&c.scope, -ECANCELED), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, -ECANCELED);
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 0);

	/* once there was room: the true results */
	held.full = true;
	fiber = start(&c, file, false, 0);
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 4);
	check_eq(pirn_scope_cancel(&c.scope, -ECANCELED), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(c.result, -1000);
	while (held.count > 1)
		hold_end_first(4096);
	hold_end_first(8192);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, 0);
	check_eq(c.ios[2].result, 4096);

	/* there was room for half of it, and for the rest later */
	held.full = true;
	fiber = start(&c, file, false, 0);
	held.most = 2;
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 2);
	check_eq(pirn_scope_cancel(&c.scope, -ECANCELED), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(c.result, -1000);
	held.most = 0;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 4);
	while (held.count > 1)
		hold_end_first(4096);
	hold_end_first(8192);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, 0);
	hold_over();
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_scope_that_ends)
{
	run_on(NULL, cancelled, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_moves_the_right_bytes),
		cmocka_unit_test(more_than_there_is_room_for),
		cmocka_unit_test(ends_of_files_and_empty_ranges),
		cmocka_unit_test(one_that_is_wrong_stops_all),
		cmocka_unit_test(each_has_its_result_and_the_first_error_is_told),
		cmocka_unit_test(a_scope_that_ends),
	};

	return run_program(argc, argv, "batch", tests, array_size(tests));
}
