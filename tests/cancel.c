// SPDX-License-Identifier: MIT
/*
 * Cancellation: what a call that parks returns when its scope ends before it,
 * while it waits, and after it was issued.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <pirn/scope.h>

#include "held.h"
#include "task.h"

/* ---------------------------------------------------------- before the call */

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int not_reached(void *arg)
{
	(void)arg;
	check_failed(__FILE__, __LINE__, "a call that was refused ran");
}

static int refused_at_once(void *arg)
{
	struct pirn_file *file = open_held_target(), *other;
	char *buf = pirn_buf_alloc(4096);
	const char *name = new_path("refused");
	struct pirn_fiber *fiber;
	struct pirn_scope scope;
	struct pirn_core_stats before = { .size = sizeof(before) }, after = before;

	(void)arg;
	check(buf);
	check_eq(pirn_spawn(&fiber, nothing, NULL), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_cancel(&scope, -EIO), 0);
	check_eq(pirn_core_stats(&before), 0);

	check_eq(pirn_sleep(0), -ECANCELED);
	check_eq(pirn_sleep_until(1), -ECANCELED);
	check_eq(pirn_park(), -ECANCELED);
	check_eq(pirn_call(0, not_reached, NULL, NULL), -ECANCELED);
	check_eq(pirn_call(1, not_reached, NULL, NULL), -ECANCELED);
	check_eq(pirn_pread(file, buf, 4096, 0), -ECANCELED);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), -ECANCELED);
	check_eq(pirn_pwrite(file, buf, 4096, 0, PIRN_DSYNC), -ECANCELED);
	check_eq(pirn_fsync(file), -ECANCELED);
	check_eq(pirn_truncate(file, 0), -ECANCELED);
	check_eq(pirn_open(&other, name, O_RDWR | O_CREAT, 0600), -ECANCELED);
	check_eq(access(name, F_OK), -1);
	check_eq(pirn_rename(test_target()->path, name), -ECANCELED);
	check_eq(pirn_unlink(test_target()->path), -ECANCELED);
	check_eq(pirn_sync_dir("/"), -ECANCELED);
	check_eq(access(test_target()->path, F_OK), 0);

	check_eq(pirn_core_stats(&after), 0);
	check_eq(after.submitted, before.submitted);
	/* what does not park is not refused, nor what is wrong told as refused */
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(pirn_unpark(pirn_self()), 0);
	check_eq(pirn_park(), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_pread(file, buf, 4096, 1), -EINVAL);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_scope_end(&scope), -EIO);
	return 0;
}

TEST(an_ended_scope_refuses_every_call_that_parks)
{
	run_on_cores(NULL, refused_at_once, NULL);
}

/* A sync that was refused is no failed sync. */
static int no_latch(void *arg)
{
	struct pirn_file *file = open_held_target();
	char *buf = pirn_buf_alloc(4096);
	struct pirn_scope scope;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, 1), 0);
	check_eq(pirn_fsync(file), -ETIMEDOUT);
	check_eq(pirn_pwrite(file, buf, 4096, 0, PIRN_DSYNC), -ETIMEDOUT);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

TEST(a_refused_sync_does_not_stay_with_the_file)
{
	run_on(NULL, no_latch, NULL);
}

/* ----------------------------------------------------------------------- IO */

struct io {
	struct pirn_file *file;
	char *buf;
	size_t bytes;
	ssize_t result;
	ssize_t next;
};

static int read_twice(void *arg)
{
	struct io *io = arg;

	io->result = pirn_pread(io->file, io->buf, io->bytes, 0);
	io->next = pirn_pread(io->file, io->buf, io->bytes, 0);
	return 0;
}

static int true_result(void *arg)
{
	struct io io = { .file = open_held_target(), .bytes = 8192 };
	struct task task;

	(void)arg;
	io.buf = pirn_buf_alloc(io.bytes);
	held.keep = true;
	task_start(&task, read_twice, &io);
	check_eq(held.count, 1);
	task_cancel(&task);
	check_eq(pirn_sleep(2 * MS), 0);
	check_eq(held.count, 1);
	check_eq(io.result, 0);		/* it still waits */
	hold_end_first(8192);
	task_join(&task);
	check_eq(io.result, 8192);
	check_eq(io.next, -ECANCELED);
	check_eq(held.queued, 1);
	check_eq(task.error, -ECANCELED);

	/* the completion and the end of the scope in one turn */
	task_start(&task, read_twice, &io);
	hold_end_first(8192);
	task_cancel(&task);
	task_join(&task);
	check_eq(io.result, 8192);
	check_eq(io.next, -ECANCELED);
	/* a true error too */
	task_start(&task, read_twice, &io);
	task_cancel(&task);
	hold_end_first(-ENODATA);
	task_join(&task);
	check_eq(io.result, -ENODATA);
	check_eq(io.next, -ECANCELED);
	/* one that found no room at first is issued when there is some */
	held.full = true;
	io.result = 0;
	task_start(&task, read_twice, &io);
	check_eq(held.count, 0);
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 1);
	task_cancel(&task);
	check_eq(pirn_sleep(MS), 0);
	check_eq(io.result, 0);
	hold_end_first(8192);
	task_join(&task);
	check_eq(io.result, 8192);
	check_eq(io.next, -ECANCELED);
	hold_over();
	check_eq(pirn_buf_free(io.buf), 0);
	check_eq(pirn_close(io.file), 0);
	return 0;
}

TEST(what_was_issued_has_its_true_result)
{
	run_on(NULL, true_result, NULL);
}

static int write_all(void *arg)
{
	struct io *io = arg;

	io->result = pirn_pwrite(io->file, io->buf, io->bytes, 0, 0);
	io->next = pirn_pwrite(io->file, io->buf, io->bytes, 0, 0);
	return 0;
}

/* Cancelled after its first part was issued it is carried through. */
static int long_transfer(void *arg)
{
	struct io io = { .file = open_held_target(), .bytes = 3 * MiB };
	struct task task;
	int i;

	(void)arg;
	io.buf = pirn_buf_alloc(io.bytes);
	check(io.buf);
	held.keep = true;
	task_start(&task, write_all, &io);
	check_eq(held.count, 1);
	task_cancel(&task);
	for (i = 0; i < 3; i++) {
		/* the second finds no room at first: still it is not broken off */
		check_eq(held.count, 1);
		hold_end_first(MiB);
		held.full = i == 0;
		check_eq(pirn_sleep(MS), 0);
		if (i == 0) {
			check_eq(held.count, 0);
			check_eq(pirn_scope_cancel(&task.scope, -EIO), 0);
			check_eq(pirn_sleep(MS), 0);
			held.full = false;
			check_eq(pirn_sleep(MS), 0);
		}
	}
	task_join(&task);
	check_eq(io.result, 3 * MiB);
	check_eq(io.next, -ECANCELED);
	hold_over();
	check_eq(pirn_buf_free(io.buf), 0);
	check_eq(pirn_close(io.file), 0);
	return 0;
}

TEST(a_transfer_in_parts_is_carried_through)
{
	run_on(NULL, long_transfer, NULL);
}

#define PENDING 30

/* Of the ops that wait for room those of ended scopes leave, from any place. */
static int pending(void *arg)
{
	struct io io[PENDING];
	struct task task[PENDING];
	struct pirn_file *file = open_held_target();
	char *buf = pirn_buf_alloc(4096);
	unsigned int i, round, others;

	(void)arg;
	for (round = 1; round < 5; round++) {
		held.full = true;
		held.queued = 0;
		others = 0;
		for (i = 0; i < PENDING; i++) {
			io[i] = (struct io) { .file = file, .buf = buf, .bytes = 4096 };
			task_start(&task[i], read_twice, &io[i]);
		}
		for (i = 0; i < PENDING; i++)
			if ((i + round) % 4 < 2)
				task_cancel(&task[i]);
		check_eq(held.queued, 0);
		for (i = 0; i < PENDING; i++) {
			if ((i + round) % 4 < 2) {
				task_join(&task[i]);
				check_eq(io[i].result, -ECANCELED);
				check_eq(io[i].next, -ECANCELED);
			} else {
				others++;
			}
		}
		check_eq(pirn_close(file), -EBUSY);	/* the others wait still */
		held.full = false;
		held.keep = true;
		check_eq(pirn_sleep(MS), 0);	/* a turn, as a completion begins */
		check_eq(held.count, others);
		held.keep = false;
		while (held.count)
			hold_end_first(4096);
		for (i = 0; i < PENDING; i++) {
			if ((i + round) % 4 < 2)
				continue;
			task_join(&task[i]);
			check_eq(io[i].result, 4096);
			check_eq(io[i].next, 4096);
		}
	}
	hold_over();
	check_eq(pirn_close(file), 0);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

TEST(an_op_that_waits_for_room_is_never_issued)
{
	run_on(NULL, pending, NULL);
}

static int sync_it(void *arg)
{
	return pirn_fsync(arg);
}

struct turn {
	struct pirn_file *file;
	struct task next;
};

static int sync_then_cancel(void *arg)
{
	struct turn *turn = arg;
	int err = pirn_fsync(turn->file);

	task_cancel(&turn->next);
	return err;
}

/* Of those that wait for their turn to sync one leaves; the next has its turn. */
static int sync_queue(void *arg)
{
	struct pirn_file *file = open_held_target();
	struct task first, second, third;
	struct turn turn;

	(void)arg;
	held.keep = true;
	task_start(&first, sync_it, file);
	task_start(&second, sync_it, file);
	task_start(&third, sync_it, file);
	check_eq(held.count, 1);
	task_cancel(&second);
	task_cancel(&first);	/* issued: it waits */
	check_eq(task_join(&second), -ECANCELED);
	hold_end_first(0);
	check_eq(task_join(&first), 0);
	check_eq(pirn_yield(), 0);
	check_eq(held.count, 1);
	/* the turn is handed over, and then its scope ends: the next has it */
	hold_end_first(0);
	check_eq(task_join(&third), 0);
	turn.file = file;
	task_start(&first, sync_then_cancel, &turn);
	task_start(&turn.next, sync_it, file);
	task_start(&third, sync_it, file);
	check_eq(held.count, 1);
	hold_end_first(0);
	check_eq(task_join(&first), 0);
	check_eq(task_join(&turn.next), -ECANCELED);
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 1);
	hold_end_first(0);
	check_eq(task_join(&third), 0);
	held.keep = false;
	check_eq(pirn_fsync(file), 0);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(who_waits_for_its_turn_to_sync_leaves)
{
	run_on(NULL, sync_queue, NULL);
}

/* These two errors would say that nothing was issued. */
static int device_errors(void *arg)
{
	struct io io = { .file = open_held_target(), .bytes = 4096 };
	struct pirn_fiber *fiber;
	int error, result;

	(void)arg;
	io.buf = pirn_buf_alloc(io.bytes);
	held.keep = true;
	for (error = -ETIMEDOUT; error; error = error == -ETIMEDOUT ? -ECANCELED : 0) {
		check_eq(pirn_spawn(&fiber, read_twice, &io), 0);
		check_eq(pirn_yield(), 0);
		hold_end_first(error);
		check_eq(pirn_sleep(MS), 0);
		hold_end_first(error);
		check_eq(pirn_join(fiber, NULL), 0);
		check_eq(io.result, -EIO);
		check_eq(io.next, -EIO);
	}
	check_eq(pirn_spawn(&fiber, sync_it, io.file), 0);
	check_eq(pirn_yield(), 0);
	hold_end_first(-ETIMEDOUT);
	check_eq(pirn_join(fiber, &result), 0);
	check_eq(result, -EIO);
	held.keep = false;
	check_eq(pirn_fsync(io.file), -EIO);	/* this one stays */
	hold_over();
	check_eq(pirn_buf_free(io.buf), 0);
	check_eq(pirn_close(io.file), 0);
	return 0;
}

TEST(a_device_that_times_out_is_told_apart)
{
	run_on(NULL, device_errors, NULL);
}

/* -------------------------------------------------- two ends in the same turn */

static int park_twice(void *arg)
{
	int *results = arg;

	results[0] = pirn_park();
	results[1] = pirn_park();
	return 0;
}

static int one_result(void *arg)
{
	struct task task;
	int results[2];

	(void)arg;
	task_start(&task, park_twice, results);
	check_eq(pirn_unpark(task.fiber), 0);
	task_cancel(&task);
	task_join(&task);
	check_eq(results[0], 0);
	check_eq(results[1], -ECANCELED);
	/* the other way round the unpark is for the next park */
	task_start(&task, park_twice, results);
	task_cancel(&task);
	check_eq(pirn_unpark(task.fiber), 0);
	task_join(&task);
	check_eq(results[0], -ECANCELED);
	check_eq(results[1], 0);
	return 0;
}

TEST(of_two_ends_in_one_turn_the_first_counts)
{
	run_on(NULL, one_result, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ended_scope_refuses_every_call_that_parks),
		cmocka_unit_test(a_refused_sync_does_not_stay_with_the_file),
		cmocka_unit_test(what_was_issued_has_its_true_result),
		cmocka_unit_test(a_transfer_in_parts_is_carried_through),
		cmocka_unit_test(an_op_that_waits_for_room_is_never_issued),
		cmocka_unit_test(who_waits_for_its_turn_to_sync_leaves),
		cmocka_unit_test(a_device_that_times_out_is_told_apart),
		cmocka_unit_test(of_two_ends_in_one_turn_the_first_counts),
	};

	return run_program(argc, argv, "cancel", tests, array_size(tests));
}
