// SPDX-License-Identifier: MIT
/* PIRN_TIMES: what pirn_core_times() says of a core's IO. */
#include <errno.h>
#include <fcntl.h>

#include <pirn/batch.h>

#include "device.h"
#include "held.h"
#include "target.h"

#define MS 1000000ull

static struct pirn_times times_of(enum pirn_time which)
{
	struct pirn_times t = { .size = sizeof(t) };

	check_eq(pirn_core_times(which, &t), 0);
	check_eq(t.size, sizeof(t));
	check(t.half <= t.p90 && t.p90 <= t.p99 && t.p99 <= t.p999);
	/* a bucket's end: up to an eighth above what was seen */
	check_op(t.p999, <=, t.most + t.most / 8 + 1);
	return t;
}

static int not_asked(void *arg)
{
	struct pirn_times t = { .size = sizeof(t) };

	(void)arg;
	check_eq(pirn_core_times(PIRN_TIME_ALL, &t), -ENODATA);
	return 0;
}

TEST(only_for_who_asks)
{
	struct pirn_times t = { .size = sizeof(t) };

	check_eq(pirn_core_times(PIRN_TIME_ALL, &t), -EPERM);
	run_on(NULL, not_asked, NULL);
}

static int each_op(void *arg)
{
	bool module = pirn_backend_current() == PIRN_BACKEND_KMOD;
	struct pirn_file *file = open_target();
	char *buf = pirn_buf_alloc(64 * KiB);
	struct pirn_times t = { .size = 0 };
	struct pirn_io ios[8];
	unsigned int i, part;

	(void)arg;
	check_eq(pirn_core_times(PIRN_TIME_ALL, &t), -EINVAL);
	check_eq(pirn_core_times(PIRN_TIME_ALL, NULL), -EINVAL);
	t.size = sizeof(t);
	check_eq(pirn_core_times(PIRN_TIME_LAST, &t), -EINVAL);
	check_eq(pirn_core_times((enum pirn_time)-1, &t), -EINVAL);
	check_eq(times_of(PIRN_TIME_ALL).count, 0);
	check_eq(times_of(PIRN_TIME_ALL).p999, 0);
	for (i = 0; i < 5; i++)
		check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	for (i = 0; i < 8; i++)
		ios[i] = (struct pirn_io){ .file = file, .buf = buf + 4096 * i,
					   .bytes = 4096 };
	check_eq(pirn_read_all(ios, 8), 0);
	check_eq(times_of(PIRN_TIME_ALL).count, 13);
	check_op(times_of(PIRN_TIME_ALL).most, >, 0);
	for (part = PIRN_TIME_QUEUED; part <= PIRN_TIME_SEEN; part++) {
		check_eq(times_of(part).count, module ? 13 : 0);
		/* each is a part of the whole */
		check_op(times_of(part).most, <=, times_of(PIRN_TIME_ALL).most);
	}
	if (module)
		check_op(times_of(PIRN_TIME_DEVICE).most, >, 0);
	/* of a caller with an older header */
	t.size = offsetof(struct pirn_times, half);
	t.half = 77;
	check_eq(pirn_core_times(PIRN_TIME_ALL, &t), 0);
	check_eq(t.count, 13);
	check_eq(t.half, 77);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(each_op_is_counted_once)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.flags = PIRN_TIMES;
	run_on(&opt, each_op, NULL);
}

static int reader(void *arg)
{
	char *buf = pirn_buf_alloc(4096);

	check_eq(pirn_pread(arg, buf, 4096, 0), 4096);
	return pirn_buf_free(buf);
}

/* Nine that are fast and one that takes a while: which the quantiles tell. */
static int quantiles(void *arg)
{
	struct pirn_fiber *fiber;
	struct pirn_file *file;
	struct pirn_times t;
	int i;

	(void)arg;
	hold_begin();
	file = open_target();
	held.keep = true;
	for (i = 0; i < 20; i++) {
		check_eq(pirn_spawn(&fiber, reader, file), 0);
		check_eq(pirn_yield(), 0);
		check_eq(pirn_sleep(i == 7 ? 300 * MS : MS), 0);
		hold_end_first(4096);
		check_eq(pirn_join(fiber, NULL), 0);
	}
	t = times_of(PIRN_TIME_ALL);
	check_eq(t.count, 20);
	check_op(t.most, >=, 300 * MS);
	check_op(t.p99, >=, 300 * MS);
	check_op(t.half, >=, MS);
	check_op(t.half, <, 300 * MS);
	hold_over();
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(quantiles_tell_the_slow_one)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.flags = PIRN_TIMES;
	run_on(&opt, quantiles, NULL);
}

/*
 * On a disk that is slow on purpose the time is the device's, not the queue's.  One
 * read of another disk goes before: what comes later is not counted where it was.
 */
static int slow(void *arg)
{
	struct pirn_file *file;
	char *buf = pirn_buf_alloc(4096);
	int i;

	check_eq(pirn_open(&file, FAST_DISK, O_RDWR, 0), 0);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_open(&file, arg, O_RDWR, 0), 0);
	for (i = 0; i < 5; i++)
		check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_op(times_of(PIRN_TIME_DEVICE).half, >=, 50 * MS);
	check_op(times_of(PIRN_TIME_QUEUED).half, <, 25 * MS);
	check_op(times_of(PIRN_TIME_SEEN).half, <, 25 * MS);
	check_op(times_of(PIRN_TIME_ALL).half, >=, 50 * MS);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(the_parts_on_a_slow_disk)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char path[32];

	if (!in_vm() || wanted_backend() != PIRN_BACKEND_KMOD)
		skip_case("wants the module and a disk that is slow on purpose");
	slow_disk(3, 50 * MS, path);
	opt.flags = PIRN_TIMES;
	run_on(&opt, slow, path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_for_who_asks),
		cmocka_unit_test(each_op_is_counted_once),
		cmocka_unit_test(quantiles_tell_the_slow_one),
		cmocka_unit_test(the_parts_on_a_slow_disk),
	};

	return run_program(argc, argv, "core_times", tests, array_size(tests));
}
