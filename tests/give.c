// SPDX-License-Identifier: MIT
/* pirn_pread_give(): on a disk that answers, and on one that hangs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <pirn/scope.h>

#include "device.h"
#include "held.h"

#define MS 1000000ull
#define LONG (100000 * MS)
#define BYTES 8192u

/* ------------------------------------------------------ a disk that answers */

static int answers(void *arg)
{
	struct pirn_file *file = open_held_target();
	uint64_t size = test_target()->bytes;
	char *buf = pirn_buf_alloc(BYTES);
	unsigned int before;

	(void)arg;
	fill(buf, BYTES, 0, 7);
	check_eq(pirn_pwrite(file, buf, BYTES, 0, 0), BYTES);
	memset(buf, 0, BYTES);
	before = room(BYTES);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, PIRN_NEVER), BYTES);
	check_filled(buf, BYTES, 0, 7);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, pirn_now() + LONG), BYTES);
	check_eq(pirn_pread_give(file, buf, BYTES, size, PIRN_NEVER), 0);
	check_eq(pirn_pread_give(file, buf, 0, 0, PIRN_NEVER), 0);
	/* with any of these the buffer stays the caller's */
	check_eq(pirn_pread_give(file, buf, BYTES, 1, PIRN_NEVER), -EINVAL);
	check_eq(pirn_pread_give(file, buf, 2 * MiB, 0, PIRN_NEVER), -EINVAL);
	check_eq(pirn_pread_give(file, buf, 2 * BYTES, 0, PIRN_NEVER), -EFAULT);
	check_eq(pirn_pread_give(file, buf + 4096, 4096, 0, PIRN_NEVER), -EFAULT);
	check_eq(pirn_pread_give(file, NULL, 4096, 0, PIRN_NEVER), -EFAULT);
	check_eq(pirn_pread_give(file, &before, 4096, 0, PIRN_NEVER), -EFAULT);
	check_eq(pirn_pread_give(NULL, buf, BYTES, 0, PIRN_NEVER), -EINVAL);
	check_eq(room(BYTES), before);
	check_eq(stats_now().orphaned, 0);
	check_eq(pirn_buf_free(buf), 0);
	/* a buffer given back, or of another core, is none */
	check_eq(pirn_pread_give(file, buf, BYTES, 0, PIRN_NEVER), -EFAULT);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(on_a_disk_that_answers_it_is_a_read)
{
	run_on(NULL, answers, NULL);
}

static int elsewhere(void *arg)
{
	struct pirn_file *file = open_held_target();

	check_eq(pirn_pread_give(file, arg, BYTES, 0, PIRN_NEVER), -EFAULT);
	check_eq(pirn_close(file), 0);
	return 0;
}

static int another_core(void *arg)
{
	void *buf = pirn_buf_alloc(BYTES);

	(void)arg;
	check_eq(pirn_call(1, elsewhere, buf, NULL), 0);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

TEST(a_buffer_of_another_core_is_not_taken)
{
	run_on_cores(NULL, another_core, NULL);
}

/* -------------------------------------------------------- a disk that hangs */

static int hangs(void *arg)
{
	struct pirn_file *file = open_held_target();
	struct pirn_scope scope;
	unsigned int before = room(BYTES);
	uint64_t deadline = pirn_now() + 50 * MS;
	char *buf = pirn_buf_alloc(BYTES);

	(void)arg;
	held.keep = true;
	check_eq(pirn_pread_give(file, buf, BYTES, 0, deadline), -ETIMEDOUT);
	check_op(pirn_now(), >=, deadline);
	check_eq(held.count, 1);
	check_eq(stats_now().orphans, 1);
	/* the buffer is kept as long as the disk may write to it */
	check_eq(room(BYTES), before - 1);
	check_eq(pirn_close(file), -EBUSY);

	/* a scope's deadline, and its end */
	buf = pirn_buf_alloc(BYTES);
	check_eq(pirn_scope_begin(&scope, pirn_now() + 50 * MS), 0);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, PIRN_NEVER), -ETIMEDOUT);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	check_eq(held.count, 2);
	check_eq(stats_now().orphans, 2);
	check_eq(room(BYTES), before - 2);

	hold_end_first(BYTES);
	check_eq(pirn_sleep(MS), 0);
	check_eq(stats_now().orphans, 1);
	check_eq(room(BYTES), before - 1);
	check_eq(pirn_close(file), -EBUSY);
	hold_end_first(-EIO);		/* whatever becomes of it */
	check_eq(pirn_sleep(MS), 0);
	check_eq(stats_now().orphans, 0);
	check_eq(stats_now().orphaned, 2);
	check_eq(room(BYTES), before);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(at_the_deadline_the_runtime_has_op_and_buffer)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = MiB;
	run_on(&opt, hangs, NULL);
}

struct reader {
	struct pirn_scope scope;
	struct pirn_file *file;
	uint64_t deadline;
	ssize_t result;
	bool shielded;
};

static int read_give(void *arg)
{
	struct reader *r = arg;
	char *buf = pirn_buf_alloc(BYTES);

	check(buf);
	check_eq(pirn_scope_begin(&r->scope, PIRN_NEVER), 0);
	if (r->shielded)
		check_eq(pirn_shield_begin(), 0);
	r->result = pirn_pread_give(r->file, buf, BYTES, 0, r->deadline);
	if (r->shielded)
		check_eq(pirn_shield_end(), 0);
	pirn_scope_end(&r->scope);
	if (r->result != -ETIMEDOUT && r->result != -ECANCELED)
		check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static struct pirn_fiber *reader_start(struct reader *r, struct pirn_file *file)
{
	struct pirn_fiber *fiber;

	r->file = file;
	r->deadline = PIRN_NEVER;
	r->result = -1000;
	r->shielded = false;
	check_eq(pirn_spawn(&fiber, read_give, r), 0);
	check_eq(pirn_yield(), 0);
	return fiber;
}

/* Of completion and end of the scope in one turn the first counts. */
static int races(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES);
	struct pirn_core *core = pirn_this_core;
	struct pirn_fiber *fiber;
	struct reader r;

	(void)arg;
	held.keep = true;
	fiber = reader_start(&r, file);
	check_eq(pirn_scope_cancel(&r.scope, -ECANCELED), 0);
	check_eq(stats_now().orphans, 1);
	hold_end_first(BYTES);
	core->ops->reap(core);		/* before the reader has run */
	check_eq(stats_now().orphans, 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, -ECANCELED);
	check_eq(room(BYTES), before);

	fiber = reader_start(&r, file);
	hold_end_first(BYTES);
	core->ops->reap(core);
	check_eq(pirn_scope_cancel(&r.scope, -ECANCELED), 0);
	check_eq(stats_now().orphans, 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, BYTES);
	check_eq(room(BYTES), before);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(of_completion_and_cancel_in_one_turn_the_first_counts)
{
	run_on(NULL, races, NULL);
}

/*
 * The place of a read given up serves another while the first reader has not run
 * yet: the one must not take the other's timer or result.
 */
static int place_again(void *arg)
{
	struct pirn_file *file = open_held_target();
	struct pirn_core *core = pirn_this_core;
	struct pirn_fiber *first, *second;
	struct reader r, s;
	char *buf;

	(void)arg;
	held.keep = true;
	first = reader_start(&r, file);
	check_eq(pirn_scope_cancel(&r.scope, -ECANCELED), 0);
	hold_end_first(BYTES);
	core->ops->reap(core);
	/* the only place is free; take it ahead of the reader, who is runnable */
	buf = pirn_buf_alloc(BYTES);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, pirn_now() + 50 * MS),
		 -ETIMEDOUT);
	check_eq(r.result, -ECANCELED);
	check_eq(stats_now().orphans, 1);
	check_eq(pirn_join(first, NULL), 0);

	/* and while it is taken there is none */
	second = reader_start(&s, file);
	check_eq(pirn_join(second, NULL), 0);
	check_eq(s.result, -EAGAIN);
	check_eq(held.count, 1);
	hold_end_first(BYTES);
	check_eq(pirn_sleep(MS), 0);
	held.keep = false;
	second = reader_start(&s, file);
	check_eq(pirn_join(second, NULL), 0);
	check_eq(s.result, BYTES);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_place_is_one_reads_at_a_time)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_orphans = 1;
	run_on(&opt, place_again, NULL);
}

static int never_issued(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES);
	struct pirn_fiber *fiber;
	struct pirn_scope scope;
	struct reader r;
	char *buf;

	(void)arg;
	/* no room at all until the deadline */
	held.full = true;
	buf = pirn_buf_alloc(BYTES);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, pirn_now() + 2 * MS),
		 -ETIMEDOUT);
	check_eq(stats_now().orphans, 0);
	check_eq(room(BYTES), before);
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.queued, 0);

	/* room after a while, then the disk hangs */
	held.full = true;
	held.keep = true;
	fiber = reader_start(&r, file);
	check_eq(pirn_sleep(MS), 0);
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.queued, 1);
	check_eq(pirn_scope_cancel(&r.scope, -EIO), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, -ECANCELED);
	check_eq(stats_now().orphans, 1);
	hold_end_first(BYTES);
	check_eq(pirn_sleep(MS), 0);

	/* refused before it began the buffer is gone all the same */
	held.queued = 0;
	buf = pirn_buf_alloc(BYTES);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, 1), -ETIMEDOUT);
	buf = pirn_buf_alloc(BYTES);
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_cancel(&scope, -EIO), 0);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, PIRN_NEVER), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -EIO);
	check_eq(held.queued, 0);
	check_eq(room(BYTES), before);
	check_eq(stats_now().orphaned, 1);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(one_never_issued_leaves_no_orphan)
{
	run_on(NULL, never_issued, NULL);
}

static int true_result(void *arg)
{
	struct pirn_file *file = open_held_target();
	struct pirn_fiber *fiber;
	struct reader r;

	(void)arg;
	held.keep = true;
	fiber = reader_start(&r, file);
	hold_end_first(-ETIMEDOUT);	/* the device's, which is not ours */
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, -EIO);
	/* shielded it waits */
	r.shielded = true;
	check_eq(pirn_spawn(&fiber, read_give, &r), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_scope_cancel(&r.scope, -EIO), 0);
	check_eq(pirn_sleep(2 * MS), 0);
	hold_end_first(BYTES);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, BYTES);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(what_the_device_says_is_the_result)
{
	run_on(NULL, true_result, NULL);
}

static int leave_orphans(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int i;

	(void)arg;
	held.keep = true;
	held.at_the_end = true;
	for (i = 0; i < 10; i++)
		check_eq(pirn_pread_give(file, pirn_buf_alloc(BYTES), BYTES, 0,
					 pirn_now() + 50 * MS), -ETIMEDOUT);
	check_eq(stats_now().orphans, 10);
	check_eq(held.count, 10);
	return 0;
}

TEST(the_end_of_the_runtime_waits_for_orphans)
{
	not_simulated("its backend looks at nothing after the last turn");
	run_on(NULL, leave_orphans, NULL);
	check_eq(held.count, 0);
	check_eq(held.done_count, 0);
}

/* Real ones: whatever was given up, the disk writes to nobody's memory. */
static int race_reader(void *arg)
{
	struct pirn_file *file = arg;
	unsigned int i;

	for (i = 0; i < scaled(300, 30); i++) {
		char *buf = pirn_buf_alloc(BYTES);
		ssize_t n;

		if (!buf) {
			check_eq(pirn_sleep(MS / 10), 0);
			continue;
		}
		memset(buf, 0, BYTES);
		n = pirn_pread_give(file, buf, BYTES, 0,
				    pirn_now() + pirn_random() % 200000);
		if (n == -ETIMEDOUT)
			continue;
		if (n != -EAGAIN) {
			check_eq(n, BYTES);
			check_filled(buf, BYTES, 0, 9);
		}
		/* mine: a late write of another's read would be seen */
		fill(buf, BYTES, i, 11);
		check_eq(pirn_sleep(MS / 20), 0);
		check_filled(buf, BYTES, i, 11);
		check_eq(pirn_buf_free(buf), 0);
	}
	return 0;
}

static int real_races(void *arg)
{
	struct pirn_file *file = open_held_target();
	char *buf = pirn_buf_alloc(BYTES);
	unsigned int before;

	(void)arg;
	before = room(BYTES);
	fill(buf, BYTES, 0, 9);
	check_eq(pirn_pwrite(file, buf, BYTES, 0, 0), BYTES);
	run_fibers(20, race_reader, file);
	while (stats_now().orphans)
		check_eq(pirn_sleep(MS), 0);
	check_eq(room(BYTES), before);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(deadlines_that_race_with_a_real_disk)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = MiB;
	opt.max_orphans = 16;
	run_on(&opt, real_races, NULL);
}

static char slow_path[32];

/* 400 ms are for ever when the deadline is 50 ms: a kernel that has the op. */
static int slow(void *arg)
{
	struct pirn_file *file;
	uint64_t began = clock_ns();
	char *buf = pirn_buf_alloc(BYTES);
	unsigned int before = room(BYTES);

	(void)arg;
	check_eq(pirn_open(&file, slow_path, O_RDWR, 0), 0);
	check_eq(pirn_pread_give(file, buf, BYTES, 0, pirn_now() + 50 * MS),
		 -ETIMEDOUT);
	check_op(clock_ns() - began, <, 400 * MS);
	check_eq(stats_now().orphans, 1);
	check_eq(room(BYTES), before);
	check_eq(pirn_close(file), -EBUSY);
	while (stats_now().orphans)
		check_eq(pirn_sleep(20 * MS), 0);
	check_op(clock_ns() - began, >=, 400 * MS);
	check_eq(room(BYTES), before + 1);
	check_eq(pirn_close(file), 0);
	/* one that the end of the runtime waits for */
	check_eq(pirn_open(&file, slow_path, O_RDWR, 0), 0);
	check_eq(pirn_pread_give(file, pirn_buf_alloc(BYTES), BYTES, 0,
				 pirn_now() + 50 * MS), -ETIMEDOUT);
	return 0;
}

TEST(a_real_disk_that_is_late)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	uint64_t began;

	if (!in_vm())
		skip_case("wants a disk that is slow on purpose: a virtual machine");
	opt.pool_bytes = MiB;
	slow_disk(1, 400 * MS, slow_path);
	began = clock_ns();
	run_on(&opt, slow, NULL);
	check_op(clock_ns() - began, >=, 800 * MS);
}

/* ------------------------------------------------------------- cut short */

static void end_now(int result)
{
	hold_end_first(result);
	held.core->ops->reap(held.core);
}

/* A reader that has half of it and asks for the rest. */
static struct pirn_fiber *have_half(struct reader *r, struct pirn_file *file)
{
	struct pirn_fiber *fiber = reader_start(r, file);

	end_now(4096);
	check_eq(pirn_yield(), 0);
	check_eq(held.count, 1);
	check_eq(held.op[0]->offset, 4096);
	check_eq(held.op[0]->bytes, BYTES - 4096);
	return fiber;
}

static int cut_short(void *arg)
{
	/* the rest, nothing, less than a block, an error */
	static const int rest[] = { 4096, 0, 100, -EIO };
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES), i;
	struct pirn_fiber *fiber;
	struct reader r;

	(void)arg;
	held.keep = true;
	for (i = 0; i < array_size(rest); i++) {
		fiber = have_half(&r, file);
		end_now(rest[i]);
		check_eq(pirn_join(fiber, NULL), 0);
		check_eq(r.result, rest[i] < 0 ? rest[i] : 4096 + rest[i]);
		check_eq(room(BYTES), before);
	}
	/* given up */
	fiber = have_half(&r, file);
	check_eq(pirn_scope_cancel(&r.scope, -ECANCELED), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, -ECANCELED);
	check_eq(stats_now().orphans, 1);
	check_eq(pirn_close(file), -EBUSY);
	end_now(4096);
	/* and before it was asked for */
	fiber = reader_start(&r, file);
	end_now(4096);
	check_eq(pirn_scope_cancel(&r.scope, -ECANCELED), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(r.result, -ECANCELED);
	check_eq(stats_now().orphans, 0);
	check_eq(room(BYTES), before);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(what_the_device_cuts_short_is_gone_on_with)
{
	run_on(NULL, cut_short, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_a_disk_that_answers_it_is_a_read),
		cmocka_unit_test(a_buffer_of_another_core_is_not_taken),
		cmocka_unit_test(at_the_deadline_the_runtime_has_op_and_buffer),
		cmocka_unit_test(of_completion_and_cancel_in_one_turn_the_first_counts),
		cmocka_unit_test(a_place_is_one_reads_at_a_time),
		cmocka_unit_test(one_never_issued_leaves_no_orphan),
		cmocka_unit_test(what_the_device_says_is_the_result),
		cmocka_unit_test(the_end_of_the_runtime_waits_for_orphans),
		cmocka_unit_test(deadlines_that_race_with_a_real_disk),
		cmocka_unit_test(a_real_disk_that_is_late),
		cmocka_unit_test(what_the_device_cuts_short_is_gone_on_with),
	};

	return run_program(argc, argv, "give", tests, array_size(tests));
}
