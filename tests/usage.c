// SPDX-License-Identifier: MIT
/*
 * Command lines that are wrong: each gets one line, which says what would be
 * right, and status 2, and nothing is done.
 */
#include "command.h"

/* Beside pirn. */
static const char *wal_path(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s", command_path());
	strcpy(strrchr(path, '/'), "/wal");
	return path;
}

#define run_wal(...)                                                          \
	run_program_at((char *const[]){ (char *)(uintptr_t)wal_path(), __VA_ARGS__, NULL })

TEST(pirn_says_what_would_be_right)
{
	check_mistake(run_command(NULL), 2, "pirn --help");
	check_mistake(run_command("copy"), 2, "pirn --help");
	check_mistake(run_command("info", "now"), 2, "now");
	check_mistake(run_command("cp", "a"), 2, "SRC DST");
	check_mistake(run_command("cp", "a", "b", "c"), 2, "'c'");
	check_mistake(run_command("cp", "--depth=0", "a", "b"), 2, "from 1 to 4096");
	check_mistake(run_command("cp", "--chunk=1x", "a", "b"), 2, "from 512 to");
	check_mistake(run_command("cp", "--backend=disk", "a", "b"), 2, "uring, aio");
	check_mistake(run_command("cp", "--nothing", "a", "b"), 2, "pirn cp --help");
	check_mistake(run_command("cp", "-q", "a", "b"), 2, "'-q'");
	check_mistake(run_command("sim", "--seeds=x", "p"), 2, "from 1 to");
	check_mistake(run_command("sim", "--faults=none", "p"), 2, "NAME[:RATE");
	check_mistake(run_command("sim"), 2, "a program");
}

/* What only the library can tell is as much a mistake. */
TEST(cpus_that_are_not_there_are_a_mistake)
{
	char from[512], to[512];

	snprintf(from, sizeof(from), "%s", new_path("usage-from"));
	snprintf(to, sizeof(to), "%s", new_path("usage-to"));
	close(must(open(from, O_RDWR | O_CREAT, 0600)));
	check_mistake(run_command("cp", "--cores=0-", from, to), 2, "as in 0-3,8");
	check_mistake(run_command("cp", "--cores=1048575", from, to), 2,
		      "as in 0-3,8");
	check_eq(access(to, F_OK), -1);
	check_mistake(run_wal("init", "--cpus=3-1", to), 2, "as in 0-3,8");
	check_eq(access(to, F_OK), -1);
	must(unlink(from));
}

TEST(wal_says_what_would_be_right)
{
	char none[512];

	snprintf(none, sizeof(none), "%s", new_path("usage-none"));
	check_mistake(run_wal(NULL), 2, "wal --help");
	check_mistake(run_wal("init"), 2, "a file or a block device");
	check_mistake(run_wal("init", "a", "b"), 2, "'b'");
	check_mistake(run_wal("init", "-s"), 2, "-s needs a value, as in -s N");
	check_mistake(run_wal("init", "-sx", none), 2, "--shards is a number");
	check_mistake(run_wal("init", "-q", none), 2, "'-q'");
	check_mistake(run_wal("init", "-S5000K", "-l129K", none), 2, "multiples of");
	check_mistake(run_wal("init", "-S1M", "-l2M", none), 2, "20K more");
	check_mistake(run_wal("init", "-S1M", "-l1M", none), 2, "20K more");
	check_eq(access(none, F_OK), -1);
}

/* The name is cut nowhere on the way: another file would be made, or lost. */
TEST(wal_takes_a_path_as_it_is)
{
	char path[1024], name[251];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(path, sizeof(path), "%s", new_path("usage"));
	strcpy(strrchr(path, '/'), "/././././");
	strcat(path, name);
	check_eq(run_wal("init", "-s1", "-S1M", "-l128K", path)->status, 0);
	check_eq(access(path, F_OK), 0);
	check_eq(run_wal("verify", path)->status, 0);
	must(unlink(path));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pirn_says_what_would_be_right),
		cmocka_unit_test(cpus_that_are_not_there_are_a_mistake),
		cmocka_unit_test(wal_says_what_would_be_right),
		cmocka_unit_test(wal_takes_a_path_as_it_is),
	};

	return run_program(argc, argv, "usage", tests, array_size(tests));
}
