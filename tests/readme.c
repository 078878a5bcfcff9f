// SPDX-License-Identifier: MIT
/* The program in README.md does what is said there, on every backend. */
#include "command.h"

static const char *program(void)
{
	static char path[512];
	ssize_t n = must(readlink("/proc/self/exe", path, sizeof(path) - 16));

	path[n] = '\0';
	strcpy(strrchr(path, '/'), "/tools/readme");
	return path;
}

static const struct output *run_readme(const char *backend, const char *target)
{
	char *argv[] = { (char *)(uintptr_t)program(),
			 (char *)(uintptr_t)target, NULL };

	must(setenv("PIRN_BACKEND", backend, 1));
	return run_program_at(argv);
}

TEST(it_reads_on_each_core)
{
	const char *name = pirn_backend_name(wanted_backend());
	const struct output *o;
	char line[64];
	long cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN);

	skip_without_uring();
	o = run_readme(name, test_target()->path);
	if (o->status)
		check_failed(__FILE__, __LINE__, "status %d: %s", o->status, o->err);
	for (cpu = 0; cpu < cpus; cpu++) {
		snprintf(line, sizeof(line), "core %ld of %s: 0\n", cpu, name);
		check(strstr(o->out, line));
	}
}

TEST(what_cannot_be_opened_is_its_status)
{
	skip_without_uring();
	not_simulated("a new file can be made anywhere");
	check(run_readme(pirn_backend_name(wanted_backend()), "/")->status != 0);
}

TEST(a_name_of_no_backend_is_refused)
{
	char why[256];

	must(setenv("PIRN_BACKEND", "floppy", 1));
	check_eq(pirn_backend_probe(PIRN_BACKEND_AUTO, why, sizeof(why)), -ENODEV);
	check(strstr(why, "floppy") && strstr(why, "uring"));
	must(setenv("PIRN_BACKEND", "aio", 1));
	check_eq(pirn_backend_probe(PIRN_BACKEND_AUTO, why, sizeof(why)), 0);
	check(strstr(why, "backend aio"));
}

/* Under 40 lines, blank ones not counted. */
TEST(it_is_short)
{
	char path[512], line[512];
	unsigned int lines = 0;
	FILE *source;

	snprintf(path, sizeof(path), "%s.c", program());
	source = fopen(path, "r");
	check(source);
	while (fgets(line, sizeof(line), source)) {
		if (line[strspn(line, " \t")] != '\n')
			lines++;
	}
	fclose(source);
	check_op(lines, >, 10);
	check_op(lines, <, 40);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_reads_on_each_core),
		cmocka_unit_test(what_cannot_be_opened_is_its_status),
		cmocka_unit_test(a_name_of_no_backend_is_refused),
		cmocka_unit_test(it_is_short),
	};

	return run_program(argc, argv, "readme", tests, array_size(tests));
}
