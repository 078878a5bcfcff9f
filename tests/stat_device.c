// SPDX-License-Identifier: MIT
/*
 * pirn stat on the module: what was done on a CPU is on its line, a second too.
 */
#include "command.h"
#include "device.h"

/* A counter of CPU 1 as the command tells it. */
static double told(const struct json_value *all, const char *name)
{
	const struct json_value *v = json_member(all, "cpus", JSON_ARRAY)->first;

	for (; v; v = v->next)
		if ((unsigned int)json_number_of(v, "cpu") == 1)
			return json_number_of(v, name);
	check_failed(__FILE__, __LINE__, "no CPU 1");
}

static void work(struct rig *rig)
{
	int i;

	for (i = 0; i < 10; i++)
		check_eq(rig_io(rig, PIRN_OP_WRITE, 0, 0, 8192), 8192);
	for (i = 0; i < 7; i++)
		check_eq(rig_io(rig, PIRN_OP_READ, 0, 0, 4096), 4096);
}

TEST(what_was_done_is_on_its_line)
{
	struct json_value *before, *after;
	struct rig rig;

	channel_open_on(&rig.ch, 16, 16, 1);
	pool_open(&rig.pool, 64 * KiB);
	must(attach_pool_fd(&rig.ch, rig.pool.fd));
	attach_disk(&rig.ch, FAST_DISK, O_RDWR);
	before = json_read(run_well("stat", "--json", "--all")->out, NULL);
	check_eq(json_count_of(json_member(before, "cpus", JSON_ARRAY)),
		 sysconf(_SC_NPROCESSORS_CONF));
	work(&rig);
	after = json_read(run_well("stat", "--json", "--all")->out, NULL);
	check_eq(told(after, "submitted") - told(before, "submitted"), 17);
	check_eq(told(after, "completed") - told(before, "completed"), 17);
	check_eq(told(after, "failed") - told(before, "failed"), 0);
	check_eq(told(after, "bytes_written") - told(before, "bytes_written"),
		 10 * 8192);
	check_eq(told(after, "bytes_read") - told(before, "bytes_read"), 7 * 4096);
	check_op(told(after, "enters") - told(before, "enters"), >=, 17);
	check_eq(told(after, "in_flight"), 0);
	json_free(before);
	json_free(after);
	rig_close(&rig);
}

/* The interval is what passed, and the rate what was done in it: no more. */
TEST(a_rate_is_over_the_time_that_passed)
{
	struct json_value *all;
	uint64_t from = clock_ns();
	double seconds;

	all = json_read(run_well("stat", "--json", "--all", "--interval=1",
				 "--count=1")->out, NULL);
	seconds = json_number_of(all, "seconds");
	check(seconds >= 1 && seconds <= (double)(clock_ns() - from) / 1e9);
	check_eq(told(all, "submitted"), 0);
	json_free(all);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_is_on_its_line),
		cmocka_unit_test(a_rate_is_over_the_time_that_passed),
	};

	return run_program(argc, argv, "stat_device", tests, array_size(tests));
}
