// SPDX-License-Identifier: MIT
/*
 * pirn stat on directories made for it, where every number is known. On the
 * module itself: stat_device.c.
 */
#include <sys/stat.h>

#include "command.h"

static const char *const names[] = {
	"submitted", "completed", "failed", "bytes_read", "bytes_written",
	"in_flight", "enters", "wakeups", "remote_completions", "worker_punts",
	"slow_submits", "joins", "preemptions", "run_delay_ns",
};

#define COUNTERS array_size(names)

struct tree {
	char path[300];
};

static void tree_make(struct tree *t, const char *name)
{
	snprintf(t->path, sizeof(t->path), "%s", new_path(name));
	must(mkdir(t->path, 0755));
	/* what else lies there is no CPU */
	snprintf(t->path + strlen(t->path), 16, "/power");
	must(mkdir(t->path, 0755));
	*strrchr(t->path, '/') = '\0';
}

static void tree_remove(struct tree *t)
{
	char line[400];

	snprintf(line, sizeof(line), "rm -rf '%s'", t->path);
	check_eq(system(line), 0);
}

static void counter_write(const struct tree *t, unsigned int cpu,
			  const char *name, const char *text)
{
	char path[400];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cpu%u/%s", t->path, cpu, name);
	file = fopen(path, "we");
	check(file && fputs(text, file) >= 0 && !fclose(file));
}

static void cpu_write(const struct tree *t, unsigned int cpu,
		      const unsigned long long values[COUNTERS])
{
	char path[400], text[32];
	size_t i;

	snprintf(path, sizeof(path), "%s/cpu%u", t->path, cpu);
	if (mkdir(path, 0755))
		check_eq(errno, EEXIST);
	for (i = 0; i < COUNTERS; i++) {
		snprintf(text, sizeof(text), "%llu\n", values[i]);
		counter_write(t, cpu, names[i], text);
	}
}

/* The numbers of the line that begins with @name; false: there is none. */
static bool line_numbers(const char *out, const char *name,
			 double values[COUNTERS + 1])
{
	const char *line = out;
	size_t i, length = strlen(name);
	char *end;

	while (line && (strncmp(line, name, length) || line[length] != ' ')) {
		line = strchr(line, '\n');
		line += line != NULL;
	}
	if (!line || !*line)
		return false;
	line += length;
	for (i = 0; i <= COUNTERS; i++) {
		values[i] = strtod(line, &end);
		if (end == line) {
			/* ops/enter of a line without an enter */
			check_eq(i, COUNTERS);
			check_eq(line[strspn(line, " ")], '-');
			values[i] = -1;
			return true;
		}
		line = end;
	}
	check_eq(*line, '\n');
	return true;
}

static void check_line(const char *out, const char *name,
		       const double want[COUNTERS + 1])
{
	double have[COUNTERS + 1];
	size_t i;

	if (!line_numbers(out, name, have))
		check_failed(__FILE__, __LINE__, "no line '%s' in: %s", name, out);
	for (i = 0; i <= COUNTERS; i++)
		if (fabs(have[i] - want[i]) > 1e-9)
			check_failed(__FILE__, __LINE__,
				     "%s of %s is %g, not %g", i < COUNTERS ?
				     names[i] : "ops/enter", name, have[i],
				     want[i]);
}

/* ------------------------------------------------------------------ totals */

static const unsigned long long zeros[COUNTERS];
static const unsigned long long busy[COUNTERS] = {
	101, 100, 3, 409600, 8192, 1, 25, 7, 2, 4, 1, 6, 5, 70000,
};
static const unsigned long long huge[COUNTERS] = {
	9007199254740993, 9007199254740993, 0, 9007199254740993, 0, 0, 1, 0, 0, 0, 0, 0,
	0, 0,
};

TEST(totals_are_the_files_to_the_last_digit)
{
	static const char table[] =
"cpu    submitted   completed      failed       bytes_read    bytes_written   in_flight      enters     wakeups  remote_completions  worker_punts  slow_submits       joins  preemptions  run_delay_ns  ops/enter\n"
"2            101         100           3           409600             8192           1          25           7                   2             4             1           6            5         70000       4.00\n"
"10           101         100           3           409600             8192           1          25           7                   2             4             1           6            5         70000       4.00\n"
"all          202         200           6           819200            16384           2          50          14                   4             8             2          12           10        140000       4.00\n";
	const struct output *o;
	struct json_value *all, *cpus;
	struct tree t;
	size_t i;

	tree_make(&t, "totals");
	cpu_write(&t, 10, busy);
	cpu_write(&t, 2, busy);
	cpu_write(&t, 0, zeros);
	o = run_well("stat", "--sysfs", t.path);
	if (strcmp(o->out, table))
		check_failed(__FILE__, __LINE__, "not the table:\n%s", o->out);

	/* with --all where nothing happened, too; in order of numbers */
	o = run_well("stat", "--all", "--sysfs", t.path, "--json");
	all = json_read(o->out, NULL);
	check(!json_find(all, "seconds"));
	cpus = json_member(all, "cpus", JSON_ARRAY);
	check_eq(json_count_of(cpus), 3);
	check_eq(json_number_of(cpus->first, "cpu"), 0);
	check(!json_find(cpus->first, "ops_per_enter"));
	check_eq(json_number_of(cpus->first->next, "cpu"), 2);
	check_eq(json_number_of(cpus->first->next->next, "cpu"), 10);
	for (i = 0; i < COUNTERS; i++) {
		check_eq(json_number_of(cpus->first, names[i]), 0);
		check_eq(json_number_of(cpus->first->next, names[i]), busy[i]);
		check_eq(json_number_of(json_member(all, "all", JSON_OBJECT),
					names[i]), 2 * busy[i]);
	}
	json_free(all);

	/* more than a double holds */
	cpu_write(&t, 2, huge);
	o = run_well("stat", "--sysfs", t.path);
	check(strstr(o->out, " 9007199254740993 "));
	o = run_well("stat", "--sysfs", t.path, "--json");
	check(strstr(o->out, "\"submitted\": 9007199254740993,"));
	tree_remove(&t);
}

/* One that the kernel does not count is not said to be 0. */
TEST(a_counter_that_is_absent_is_not_faked)
{
	const struct output *o;
	struct json_value *all;
	struct tree t;
	char path[400];

	tree_make(&t, "absent");
	cpu_write(&t, 0, busy);
	snprintf(path, sizeof(path), "%s/cpu0/run_delay_ns", t.path);
	must(unlink(path));
	o = run_well("stat", "--sysfs", t.path);
	check(strstr(o->out, "  6            5             -       4.00\nall"));
	check(strstr(strstr(o->out, "all"), "6            5             -       4.00\n"));
	o = run_well("stat", "--interval=1", "--count=1", "--all", "--sysfs",
		     t.path);
	check(strstr(o->out, "  0            0             -          -\nall"));
	o = run_well("stat", "--json", "--sysfs", t.path);
	all = json_read(o->out, NULL);
	check(!json_find(json_member(all, "all", JSON_OBJECT), "run_delay_ns"));
	check_eq(json_number_of(json_member(all, "all", JSON_OBJECT),
				"preemptions"), 5);
	json_free(all);
	/* all others have to be there */
	snprintf(path, sizeof(path), "%s/cpu0/preemptions", t.path);
	must(unlink(path));
	check_mistake(run_command("stat", "--sysfs", t.path), 1, "preemptions");
	tree_remove(&t);
}

/* ------------------------------------------------------------------- rates */

/* Four a second of everything but in_flight, over five seconds. */
TEST(rates_are_what_was_added_a_second)
{
	static const double cpu0[] = {
		4, 4, 4, 4, 4, 21, 4, 4, 4, 4, 4, 4, 4, 4, 1,
	};
	static const double sum[] = {
		8, 8, 8, 8, 8, 42, 8, 8, 8, 8, 8, 8, 8, 8, 1,
	};
	unsigned long long values[COUNTERS];
	struct json_value *all;
	struct tree from, to;
	const struct output *o;
	const char *rest;
	size_t i;

	tree_make(&from, "from");
	tree_make(&to, "to");
	for (i = 0; i < COUNTERS; i++)
		values[i] = 1;
	cpu_write(&from, 0, values);
	cpu_write(&from, 1, values);
	for (i = 0; i < COUNTERS; i++)
		values[i] = 21;
	cpu_write(&to, 0, values);
	cpu_write(&to, 1, values);
	o = run_well("stat", "--interval=5", "--count=2", "--sysfs", from.path,
		     "--sysfs", to.path);
	check(!strncmp(o->out, "a second, over 5.000 s\n", 23));
	check_line(o->out, "0", cpu0);
	check_line(o->out, "1", cpu0);
	check_line(o->out, "all", sum);
	/* then nothing changed, but in_flight is what it is */
	check(strstr(o->out + 23, "a second, over 5.000 s\n"));
	check_line(strstr(o->out + 23, "a second"), "all",
		   (double[]){ 0, 0, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 0, -1 });

	/* as JSON a document for each */
	o = run_well("stat", "--json", "--interval=5", "--count=2", "--sysfs",
		     from.path, "--sysfs", to.path);
	all = json_read(o->out, &rest);
	check_eq(json_number_of(all, "seconds"), 5);
	for (i = 0; i < COUNTERS; i++)
		check_eq(json_number_of(json_member(all, "all", JSON_OBJECT),
					names[i]), sum[i]);
	check_eq(rest[-1], '\n');
	json_free(all);
	all = json_read(rest, NULL);
	check_eq(json_number_of(json_member(all, "all", JSON_OBJECT), "enters"), 0);
	json_free(all);
	tree_remove(&from);
	tree_remove(&to);
}

/* A CPU that is gone has no line, a new one and a module anew count from 0. */
TEST(cpus_come_and_go_and_counters_begin_anew)
{
	static const double part[] = {
		2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1,
	};
	unsigned long long values[COUNTERS];
	double none[COUNTERS + 1];
	struct tree from, to;
	const struct output *o;
	size_t i;

	tree_make(&from, "from");
	tree_make(&to, "to");
	for (i = 0; i < COUNTERS; i++)
		values[i] = 1000;
	cpu_write(&from, 0, values);
	cpu_write(&from, 3, values);
	for (i = 0; i < COUNTERS; i++)
		values[i] = 2;
	cpu_write(&to, 0, values);
	cpu_write(&to, 1, values);
	o = run_well("stat", "--interval=1", "--count=1", "--sysfs", from.path,
		     "--sysfs", to.path);
	check_line(o->out, "0", part);
	check_line(o->out, "1", part);
	check(!line_numbers(o->out, "3", none));
	tree_remove(&from);
	tree_remove(&to);
}

/* ---------------------------------------------------------------- mistakes */

TEST(what_cannot_be_read_is_named)
{
	char path[400];
	struct tree t;

	check_mistake(run_command("stat", "--sysfs", "/nowhere"), 1, "/nowhere");
	tree_make(&t, "bad");
	check_mistake(run_command("stat", "--sysfs", t.path), 1, "not loaded (modprobe pirn)");
	cpu_write(&t, 0, busy);
	counter_write(&t, 0, "enters", "many\n");
	check_mistake(run_command("stat", "--sysfs", t.path), 1,
		      "cpu0/enters: 'many'");
	counter_write(&t, 0, "enters", "-1\n");
	check_mistake(run_command("stat", "--sysfs", t.path), 1, "cpu0/enters");
	counter_write(&t, 0, "enters", "");
	check_mistake(run_command("stat", "--sysfs", t.path), 1, "cpu0/enters");
	counter_write(&t, 0, "enters", "1 2\n");
	check_mistake(run_command("stat", "--sysfs", t.path), 1, "cpu0/enters");
	counter_write(&t, 0, "enters", "18446744073709551616\n");
	check_mistake(run_command("stat", "--sysfs", t.path), 1, "cpu0/enters");
	snprintf(path, sizeof(path), "%s/cpu0/enters", t.path);
	must(unlink(path));
	check_mistake(run_command("stat", "--sysfs", t.path), 1,
		      "cpu0/enters: No such file");
	/* a directory cannot be read as a file, whoever tries */
	must(mkdir(path, 0755));
	check_mistake(run_command("stat", "--sysfs", t.path), 1,
		      "cpu0/enters: Is a directory");
	tree_remove(&t);
}

TEST(mistakes_get_one_line_and_status_2)
{
	check_mistake(run_command("stat", "--interval=0"), 2, "from 1 to");
	check_mistake(run_command("stat", "--count=3"), 2, "--interval");
	check_mistake(run_command("stat", "now"), 2, "now");
	check_mistake(run_command("stat", "--interval"), 2, "--interval=SECONDS");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_are_the_files_to_the_last_digit),
		cmocka_unit_test(a_counter_that_is_absent_is_not_faked),
		cmocka_unit_test(rates_are_what_was_added_a_second),
		cmocka_unit_test(cpus_come_and_go_and_counters_begin_anew),
		cmocka_unit_test(what_cannot_be_read_is_named),
		cmocka_unit_test(mistakes_get_one_line_and_status_2),
	};

	return run_program(argc, argv, "stat", tests, array_size(tests));
}
