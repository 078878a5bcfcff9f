// SPDX-License-Identifier: MIT
/*
 * pirn trace on the module: a read that returns, one that does not, and a disk that
 * does not even let it be opened.
 */
#include "command.h"
#include "hung_disk.h"
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

/*
 * It is stopped when a thread of its child has been where no signal reaches it for
 * half a second: in TARGET_ATTACH, which writes back what others have cached.
 */
static const char stopped[] =
	"out=$(mktemp)\n"
	"%s trace " HUNG_DISK " >$out 2>&1 & pid=$! looks=0\n"
	"while [ $looks -lt 5 ] && kill -0 $pid; do\n"
	"	sleep 0.1\n"
	"	looks=$((looks + 1))\n"
	"	grep -q '^State:.D' /proc/$(pgrep -P $pid)/task/*/status || looks=0\n"
	"done 2>/dev/null\n"
	"kill -TERM $pid; wait $pid; cat $out >&2; grep -q 'does not end' $out";

TEST(the_command_is_stopped_where_the_disk_holds_it)
{
	char line[1200];
	char page[4096];
	int fd;

	hung_disk_make();
	mount_once("tracefs", TRACING);
	fd = must(open(HUNG_DISK, O_WRONLY | O_CLOEXEC));
	hung_disk_hangs();
	memset(page, 1, sizeof(page));
	check_eq(pwrite(fd, page, sizeof(page), 0), (long)sizeof(page));
	snprintf(line, sizeof(line), stopped, command_path());
	check_eq(system(line), 0);
	no_instance_is_left();
	hung_disk_goes_on();
	close(fd);
	hung_disk_remove();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_prints_one_read),
		cmocka_unit_test(the_command_prints_a_read_that_does_not_return),
		cmocka_unit_test(the_command_is_stopped_where_the_disk_holds_it),
	};

	return run_program(argc, argv, "trace_device", tests, array_size(tests));
}
