// SPDX-License-Identifier: MIT
/* pirn_read_any(): the first of several reads, and what becomes of the others. */
#include <errno.h>
#include <fcntl.h>

#include <pirn/batch.h>
#include <pirn/scope.h>

#include "device.h"
#include "held.h"

#define MS 1000000ull
#define BYTES 8192u

struct caller {
	struct pirn_io ios[3];
	struct pirn_scope scope;
	struct pirn_file *file;
	unsigned int nr;
	uint64_t deadline;
	int result;
};

static void buffers(struct caller *c, struct pirn_file *file, unsigned int nr)
{
	*c = (struct caller){ .file = file, .nr = nr, .deadline = PIRN_NEVER,
			      .result = -1000 };
	for (unsigned int i = 0; i < nr; i++)
		c->ios[i] = (struct pirn_io){
			.file = file, .buf = pirn_buf_alloc(BYTES),
			.bytes = BYTES, .offset = BYTES * i, .result = -1000,
		};
}

/* Those that are the caller's still. */
static unsigned int free_buffers(struct caller *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->nr; i++) {
		if (!c->ios[i].buf)
			continue;
		check_eq(pirn_buf_free(c->ios[i].buf), 0);
		n++;
	}
	return n;
}

static int call_any(void *arg)
{
	struct caller *c = arg;

	check_eq(pirn_scope_begin(&c->scope, PIRN_NEVER), 0);
	c->result = pirn_read_any(c->ios, c->nr, c->deadline);
	pirn_scope_end(&c->scope);
	return 0;
}

static struct pirn_fiber *start(struct caller *c, struct pirn_file *file)
{
	struct pirn_fiber *fiber;

	buffers(c, file, 3);
	check_eq(pirn_spawn(&fiber, call_any, c), 0);
	check_eq(pirn_sleep(MS), 0);
	return fiber;
}

/* ------------------------------------------------------ a disk that answers */

static int answers(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES), round, i;
	struct caller c;
	int got;

	(void)arg;
	buffers(&c, file, 3);
	for (i = 0; i < 3; i++) {
		fill(c.ios[i].buf, BYTES, BYTES * i, 4);
		check_eq(pirn_pwrite(file, c.ios[i].buf, BYTES, BYTES * i, 0), BYTES);
	}
	check_eq(free_buffers(&c), 3);
	for (round = 0; round < 50; round++) {
		buffers(&c, file, 1 + round % 3);
		got = pirn_read_any(c.ios, c.nr, PIRN_NEVER);
		check(got >= 0 && got < (int)c.nr);
		check_eq(c.ios[got].result, BYTES);
		check_filled(c.ios[got].buf, BYTES, BYTES * (unsigned int)got, 4);
		free_buffers(&c);
	}
	for (i = 0; i < 1000 && stats_now().orphans; i++)
		check_eq(pirn_sleep(MS), 0);
	check_eq(stats_now().orphans, 0);
	check_eq(room(BYTES), before);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(on_a_disk_that_answers_one_is_right)
{
	run_on(NULL, answers, NULL);
}

static int wrong(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES);
	uint64_t submitted = stats_now().submitted;
	struct pirn_scope scope;
	struct caller c;
	void *kept;

	(void)arg;
	buffers(&c, file, 3);
	check_eq(pirn_read_any(c.ios, 0, PIRN_NEVER), -EINVAL);
	check_eq(pirn_read_any(c.ios, 65, PIRN_NEVER), -EINVAL);
	check_eq(pirn_read_any(c.ios, 3, 1), -ETIMEDOUT);
	for (unsigned int i = 0; i < 3; i++) {
		c.ios[i].offset++;
		check_eq(pirn_read_any(c.ios, 3, PIRN_NEVER), -EINVAL);
		c.ios[i].offset--;
		c.ios[i].bytes = 0;
		check_eq(pirn_read_any(c.ios, 3, PIRN_NEVER), -EINVAL);
		c.ios[i].bytes = 2 * BYTES;
		check_eq(pirn_read_any(c.ios, 3, PIRN_NEVER), -EFAULT);
		c.ios[i].bytes = BYTES;
		kept = c.ios[i].buf;
		c.ios[i].buf = c.ios[(i + 1) % 3].buf;
		check_eq(pirn_read_any(c.ios, 3, PIRN_NEVER), -EFAULT);
		c.ios[i].buf = kept;
	}
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(pirn_read_any(c.ios, 3, PIRN_NEVER), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	check_eq(stats_now().submitted, submitted);
	check_eq(free_buffers(&c), 3);
	check_eq(room(BYTES), before);
	/* four places, and all are there still */
	buffers(&c, file, 3);
	check_op(pirn_read_any(c.ios, 3, PIRN_NEVER), >=, 0);
	free_buffers(&c);
	check_eq(pirn_sleep(50 * MS), 0);
	check_eq(room(BYTES), before);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(one_that_is_wrong_stops_all)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_orphans = 4;
	run_on(&opt, wrong, NULL);
}

/* -------------------------------------------------------- a disk that hangs */

static int the_second(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES);
	struct pirn_core *core = pirn_this_core;
	struct pirn_fiber *fiber;
	struct caller c;

	(void)arg;
	held.keep = true;
	fiber = start(&c, file);
	check_eq(held.count, 3);
	/* the first fails, which is not enough */
	hold_end_first(-EIO);
	check_eq(pirn_sleep(MS), 0);
	check_eq(c.result, -1000);
	hold_end_first(BYTES);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, 1);
	check_eq(c.ios[0].result, -EIO);
	check_eq(c.ios[1].result, BYTES);
	check_eq(c.ios[2].result, -EINPROGRESS);
	check(!c.ios[2].buf);
	check_eq(stats_now().orphans, 1);
	check_eq(free_buffers(&c), 2);
	/* the loser's is kept as long as the disk may write to it */
	check_eq(room(BYTES), before - 1);
	check_eq(pirn_close(file), -EBUSY);
	hold_end_first(BYTES);
	check_eq(pirn_sleep(MS), 0);
	check_eq(stats_now().orphans, 0);
	check_eq(room(BYTES), before);

	/* two in one turn: the first counts, and the other is the caller's too */
	fiber = start(&c, file);
	hold_end_first(BYTES);
	hold_end_first(BYTES);
	core->ops->reap(core);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, 0);
	check_eq(c.ios[1].result, BYTES);
	check_eq(free_buffers(&c), 2);
	hold_end_first(-EIO);
	check_eq(pirn_sleep(MS), 0);

	/* none succeeds */
	fiber = start(&c, file);
	hold_end_first(-ENODATA);
	hold_end_first(-EIO);
	hold_end_first(-EIO);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, -ENODATA);
	check_eq(free_buffers(&c), 3);
	check_eq(room(BYTES), before);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(losers_are_the_runtimes_until_they_have_ended)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = MiB;
	run_on(&opt, the_second, NULL);
}

static int given_up(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES);
	struct pirn_core *core = pirn_this_core;
	struct pirn_fiber *fiber;
	struct caller c;
	int i;

	(void)arg;
	held.keep = true;
	buffers(&c, file, 3);
	check_eq(pirn_read_any(c.ios, 3, pirn_now() + 20 * MS), -ETIMEDOUT);
	check_eq(stats_now().orphans, 3);
	check_eq(free_buffers(&c), 0);
	check_eq(room(BYTES), before - 3);
	for (i = 0; i < 3; i++)
		hold_end_first(BYTES);
	check_eq(pirn_sleep(MS), 0);
	check_eq(room(BYTES), before);

	/* one has failed, then the scope ends: that one's buffer is the caller's */
	fiber = start(&c, file);
	hold_end_first(-EIO);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_cancel(&c.scope, -ECANCELED), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, -ECANCELED);
	check_eq(c.ios[0].result, -EIO);
	check_eq(free_buffers(&c), 1);
	check_eq(stats_now().orphans, 2);
	hold_end_first(BYTES);
	hold_end_first(BYTES);
	check_eq(pirn_sleep(MS), 0);

	/* the scope ends, and before the fiber has run one succeeds */
	fiber = start(&c, file);
	check_eq(pirn_scope_cancel(&c.scope, -ECANCELED), 0);
	hold_end_first(BYTES);
	core->ops->reap(core);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, 0);
	check_eq(free_buffers(&c), 1);
	check_eq(stats_now().orphans, 2);
	hold_end_first(BYTES);
	hold_end_first(-EIO);
	check_eq(pirn_sleep(MS), 0);
	check_eq(stats_now().orphans, 0);
	check_eq(room(BYTES), before);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(at_the_deadline_what_is_under_way_is_the_runtimes)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = MiB;
	run_on(&opt, given_up, NULL);
}

static int no_room(void *arg)
{
	struct pirn_file *file = open_held_target();
	unsigned int before = room(BYTES);
	struct pirn_fiber *fiber;
	struct caller c;

	(void)arg;
	/* for none: the first one waits for it, the others are not begun */
	held.full = true;
	held.keep = true;
	fiber = start(&c, file);
	check_eq(c.result, -1000);
	held.full = false;
	check_eq(pirn_sleep(MS), 0);
	check_eq(held.count, 1);
	hold_end_first(BYTES);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(c.result, 0);
	check_eq(c.ios[0].result, BYTES);
	check_eq(c.ios[1].result, -EAGAIN);
	check_eq(c.ios[2].result, -EAGAIN);
	check_eq(free_buffers(&c), 3);
	held.full = true;
	buffers(&c, file, 3);
	check_eq(pirn_read_any(c.ios, 3, pirn_now() + 2 * MS), -ETIMEDOUT);
	check_eq(free_buffers(&c), 2);
	check_eq(room(BYTES), before);
	held.full = false;
	hold_over();
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(without_room_for_all)
{
	run_on(NULL, no_room, NULL);
}

static int no_places(void *arg)
{
	struct pirn_file *file = open_held_target();
	struct caller c;

	(void)arg;
	buffers(&c, file, 3);
	check_eq(pirn_read_any(c.ios, 3, PIRN_NEVER), -EAGAIN);
	check_eq(pirn_read_any(c.ios, 2, PIRN_NEVER) < 0, 0);
	free_buffers(&c);
	check_eq(pirn_sleep(50 * MS), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(without_places_for_all)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.max_orphans = 2;
	run_on(&opt, no_places, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_a_disk_that_answers_one_is_right),
		cmocka_unit_test(one_that_is_wrong_stops_all),
		cmocka_unit_test(losers_are_the_runtimes_until_they_have_ended),
		cmocka_unit_test(at_the_deadline_what_is_under_way_is_the_runtimes),
		cmocka_unit_test(without_room_for_all),
		cmocka_unit_test(without_places_for_all),
	};

	return run_program(argc, argv, "any", tests, array_size(tests));
}
