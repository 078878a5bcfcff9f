// SPDX-License-Identifier: MIT
/*
 * pirn trace on the module: a read that returns, one that does not, and a disk that
 * does not even open.
 */
#include <pthread.h>

#include "command.h"
#include "tracing.h"

/* How many microseconds after the call, on the line with @what. */
static double stage(const char *out, const char *what)
{
	const char *at = strstr(out, what);
	double us;

	if (!at)
		check_failed(__FILE__, __LINE__, "no '%s' in: %s", what, out);
	while (at > out && at[-1] != '\n')
		at--;
	check_eq(sscanf(at, "%lf us", &us), 1);
	return us;
}

static void no_instance_is_left(void)
{
	check(system("ls " TRACING "/instances | grep -q pirn") != 0);
}

TEST(the_command_prints_one_read)
{
	const struct output *o;
	char path[32];
	double submit, issue, complete, end;

	slow_disk(1, 100000000, path);
	mount_once("tracefs", TRACING);
	o = run_well("trace", "--offset=8192", path);
	submit = stage(o->out, "op=READ offset=8192 len=4096");
	issue = stage(o->out, "sector=16 len=4096");
	complete = stage(o->out, "op=READ res=4096");
	end = stage(o->out, "pirn_pread() returns");
	stage(o->out, "is woken");
	/* an event's clock has whole microseconds */
	check(submit >= -1 && submit <= issue);
	check(complete - issue > 80000 && end >= complete - 1);
	/* nothing is left of it */
	no_instance_is_left();

	/* what is no block device is said to be none */
	o = run_command("trace", "/dev/null");
	check_eq(o->status, 1);
	check(strstr(o->err, "/dev/null"));
	must(umount2(TRACING, MNT_DETACH));
	o = run_command("trace", path);
	check_eq(o->status, 1);
	check(strstr(o->err, "mount -t tracefs"));
	o = run_command("trace");
	check_eq(o->status, 2);
	o = run_command("trace", path, path);
	check_eq(o->status, 2);
}

/* A disk that hangs is what it is called for: it says how far the read came. */
TEST(the_command_prints_a_read_that_does_not_return)
{
	const struct output *o;
	char path[32], line[600];

	slow_disk(1, 2500000000, path);
	mount_once("tracefs", TRACING);
	o = run_command("trace", "--wait=1", path);
	check_eq(o->status, 1);
	stage(o->out, "op=READ offset=0 len=4096");
	stage(o->out, "sector=0 len=4096");
	check(!strstr(o->out, "returns") && !strstr(o->out, "answered"));
	check(strstr(o->err, "has not answered in 1 s"));
	check_eq(strchr(o->err, '\n') - o->err, (long)strlen(o->err) - 1);
	no_instance_is_left();

	/* and may be stopped before */
	snprintf(line, sizeof(line), "timeout --signal=INT 1 %s trace %s", command_path(),
		 path);
	check(system(line) != 0);
	no_instance_is_left();
	o = run_command("trace", "--wait=0", path);
	check_eq(o->status, 2);
	nap_ms(3000);
}

/* The kernel looks for partitions, 4 s a sector, and lets nobody open it meanwhile. */
static void *slow_scan(void *arg)
{
	(void)arg;
	special_disk(1, "completion_nsec", "4000000000");
	return NULL;
}

TEST(the_command_is_stopped_on_a_disk_that_does_not_open)
{
	char path[32], line[700];
	pthread_t thread;

	slow_disk(1, 1000, path);
	mount_once("tracefs", TRACING);
	write_text("/sys/kernel/config/nullb/nullb1/power", "0");
	must(-pthread_create(&thread, NULL, slow_scan, NULL));
	while (access(path, F_OK))
		nap_ms(1);
	snprintf(line, sizeof(line),
		 "timeout --signal=INT 3 %s trace %s 2>&1 | grep -q 'does not end'",
		 command_path(), path);
	check_eq(system(line), 0);
	no_instance_is_left();
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_prints_one_read),
		cmocka_unit_test(the_command_prints_a_read_that_does_not_return),
		cmocka_unit_test(the_command_is_stopped_on_a_disk_that_does_not_open),
	};

	return run_program(argc, argv, "trace_device", tests, array_size(tests));
}
