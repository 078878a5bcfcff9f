// SPDX-License-Identifier: MIT
/*
 * pirn bench: every subject says everything it should, as text and as JSON, and
 * says it wrong in neither. How quick anything is is not looked at here.
 */
#include <sys/stat.h>

#include "command.h"
#include "lib.h"

/* What each subject prints when it is quick: in this order, as text and JSON. */
struct expected {
	const char *subject;
	const char *key;
	const char *name;
	bool yardstick;
	double goal;
};

static const struct expected rows[] = {
	{ "switch", "switch/2", "yield, 2 fibers", true, 2 },
	{ "switch", "switch/1000", "yield, 1,000 fibers", true, 4 },
	{ "switch", "switch/1000", "yield, 1,000 fibers", true, 0 },
	{ "spawn", "spawn/1", "spawn and join", true, 20 },
	{ "spawn", "spawn/1000", "spawn and join, 1,000 at once", true, 0 },
	{ "call", "call/1", "call and reply", true, 2.5 },
	{ "call", "call/64", "call and reply, 64 outstanding", true, 0.6 },
	{ "post", "post/1", "post", true, 0.25 },
	{ "wake", "wake/uring", "wake there and back, uring", true, 0 },
	{ "sync", "sync/mutex", "mutex, lock and unlock", true, 2 },
	{ "sync", "sync/semaphore", "semaphore, there and back", true, 8 },
	{ "timer", "timer/1000", "arm and cancel, 1,000 armed", true, 0 },
	{ "timer", "timer/1000000", "arm and cancel, 1,000,000 armed", true, 2 },
	{ "timer", "timer/1000000", "arm and cancel, 1,000,000 armed", true, 0 },
	{ "io", "io/cpu", "read, uring: CPU time", true, 1.05 },
	{ "io", "io/wall", "read, uring: time", true, 0 },
	{ "io", "io/enters", "read, uring: system calls", true, 0 },
	{ "io", "io/seen", "read, uring: seen without one", false, 0 },
	{ "memory", "memory/1000/all", "1000 asleep: all", false, 0 },
	{ "memory", "memory/1000/stacks", "1000 asleep: stacks", false, 0 },
	{ "memory", "memory/1000/of it control block", "1000 asleep: of it control block", false, 0 },
	{ "memory", "memory/1000/of it frames", "1000 asleep: of it frames", false, 0 },
	{ "memory", "memory/1000/page tables", "1000 asleep: page tables", false, 0 },
	{ "memory", "memory/1000/other", "1000 asleep: other", false, 0 },
};

/* io and wake name their backend. */
static char *backend_option(const char *subject)
{
	return strcmp(subject, "io") && strcmp(subject, "wake") ? "--quick" :
								  "--backend=uring";
}

/* The cells of a line, two blanks or more between them. */
static unsigned int cells_of(char *line, char **cells, unsigned int most)
{
	unsigned int count = 0;

	while (count < most && *line) {
		cells[count++] = line;
		line = strstr(line, " ");
		if (!line)
			break;
		*line++ = '\0';
		line += strspn(line, " ");
	}
	return count;
}

/* A line is the name, the unit, three figures and, with a yardstick, more. */
static void check_text_row(const struct expected *row, char *line)
{
	char *cells[24], *figures = strstr(line, row->name);
	double least, median, most;
	unsigned int n;

	check(figures == line);
	figures += strlen(row->name);
	check_op(strspn(figures, " "), >=, 1);
	/* the unit is one or two words: the figures are found from the right */
	n = cells_of(figures + strspn(figures, " "), cells, array_size(cells));
	check_op(n, >=, 5);
	while (n && strspn(cells[0], "-.0123456789") != strlen(cells[0])) {
		memmove(cells, cells + 1, --n * sizeof(cells[0]));
	}
	check_op(n, >=, 4);
	least = atof(cells[0]);
	median = atof(cells[1]);
	most = atof(cells[2]);
	check(least <= median && median <= most);
	if (!row->yardstick) {
		check(!strcmp(cells[3], "-"));
		check_eq(n, 4);
		return;
	}
	/* at the end the goal, before it the ratio, before it the median */
	if (row->goal > 0)
		check(fabs(atof(cells[--n]) - row->goal) < 1e-9);
	check(isfinite(atof(cells[n - 1])) && atof(cells[n - 1]) > 0);
	check(isfinite(atof(cells[n - 2])) && atof(cells[n - 2]) > 0);
}

static void check_text(const char *subject, const char *out)
{
	char *copy = strdup(out), *rest, *line = strtok_r(copy, "\n", &rest);
	size_t i;

	check(line && !strncmp(line, subject, strlen(subject)));
	for (i = 0; i < array_size(rows); i++) {
		if (strcmp(rows[i].subject, subject))
			continue;
		line = strtok_r(NULL, "\n", &rest);
		check(line);
		check_text_row(&rows[i], line);
	}
	while ((line = strtok_r(NULL, "\n", &rest)))
		check(!strncmp(line, "note: ", 6));
	free(copy);
}

static void check_json_row(const struct expected *row,
			   const struct json_value *v)
{
	double least = json_number_of(v, "min");
	double median = json_number_of(v, "median");
	double most = json_number_of(v, "max");

	check(!strcmp(json_string_of(v, "subject"), row->subject));
	check(!strcmp(json_string_of(v, "key"), row->key));
	check(!strcmp(json_string_of(v, "name"), row->name));
	check(json_string_of(v, "unit")[0]);
	check_eq(json_number_of(v, "samples"), 1);
	check(isfinite(least) && least <= median && median <= most);
	if (!row->yardstick) {
		check(!json_find(v, "ratio"));
		return;
	}
	check(json_string_of(v, "yardstick")[0]);
	check(least > 0);
	check(json_number_of(v, "yardstick_median") > 0);
	check(json_number_of(v, "ratio") > 0);
	check(fabs(json_number_of(v, "ratio") -
		   median / json_number_of(v, "yardstick_median")) <
	      1e-4 * json_number_of(v, "ratio"));
	if (row->goal > 0)
		check(fabs(json_number_of(v, "goal") - row->goal) < 1e-9);
	else
		check(!json_find(v, "goal"));
}

static void check_json(const char *subject, const char *out)
{
	struct json_value *all = json_read(out, NULL);
	struct json_value *v = json_member(all, "rows", JSON_ARRAY)->first;
	size_t i;

	check(!strcmp(json_string_of(all, "version"), PIRN_VERSION));
	for (i = 0; i < array_size(rows); i++) {
		if (strcmp(rows[i].subject, subject))
			continue;
		check(v);
		check_json_row(&rows[i], v);
		v = v->next;
	}
	check(!v);
	json_free(all);
}

static void check_subject(char *subject)
{
	skip_without_uring();
	check_text(subject, run_well("bench", "--quick", subject,
				     backend_option(subject))->out);
	check_json(subject, run_well("bench", "--quick", "--json", subject,
				     backend_option(subject))->out);
}

static void need_two_cpus(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_case("one CPU: nothing happens between two cores");
}

TEST(switch_says_everything)
{
	check_subject("switch");
}

TEST(spawn_says_everything)
{
	check_subject("spawn");
}

TEST(call_says_everything)
{
	need_two_cpus();
	check_subject("call");
}

TEST(post_says_everything)
{
	need_two_cpus();
	check_subject("post");
}

TEST(wake_says_everything)
{
	need_two_cpus();
	check_subject("wake");
}

TEST(sync_says_everything)
{
	check_subject("sync");
}

TEST(timer_says_everything)
{
	check_subject("timer");
}

TEST(io_says_everything)
{
	check_subject("io");
}

TEST(memory_says_everything)
{
	check_subject("memory");
}

/* Another loop beside the same yardstick, in rows that follow the library's. */
TEST(the_aio_loop_has_rows_of_its_own)
{
	static const char *const keys[] = {
		"io/cpu", "io/cpu/aio", "io/wall", "io/wall/aio", "io/enters",
		"io/enters/aio", "io/seen",
	};
	struct json_value *all, *v;
	size_t i;

	skip_without_uring();
	all = json_read(run_well("bench", "--quick", "--json", "--aio-loop",
				 "--backend=uring", "io")->out, NULL);
	v = json_member(all, "rows", JSON_ARRAY)->first;
	for (i = 0; i < array_size(keys); i++, v = v->next) {
		check(v && !strcmp(json_string_of(v, "key"), keys[i]));
		if (strstr(keys[i], "/aio")) {
			check(strstr(json_string_of(v, "name"), "linux-aio"));
			check(strstr(json_string_of(v, "yardstick"), "bare loop"));
			check(json_number_of(v, "median") > 0);
		}
	}
	check(!v);
	json_free(all);
}

/* One document, in the order of the subjects, whatever that of the words. */
TEST(several_subjects_are_one_document)
{
	struct json_value *all, *array;

	skip_without_uring();
	all = json_read(run_well("bench", "--quick", "--json", "memory",
				 "spawn")->out, NULL);
	array = json_member(all, "rows", JSON_ARRAY);
	check_eq(json_count_of(array), 8);
	check(!strcmp(json_string_of(array->first, "subject"), "spawn"));
	json_free(all);
}

/* What is resident of a fiber is a page, and what its address costs: 320 KiB. */
TEST(memory_is_what_the_kernel_says)
{
	struct json_value *all, *v;
	double stacks, block, tables;

	skip_without_uring();
	if (UNDER_ASAN || UNDER_TSAN)
		skip_case("the sanitizer's own memory is counted, too");
	all = json_read(run_well("bench", "--quick", "--json", "memory")->out,
			NULL);
	v = json_member(all, "rows", JSON_ARRAY)->first;
	stacks = json_number_of(v->next, "median");
	v = v->next;
	block = json_number_of(v->next, "median");
	tables = json_number_of(v->next->next->next, "median");
	/* a page each, and a few more for the fiber that counts */
	check(stacks >= 4096 && stacks < 4096 + 64);
	/* the fiber's own, and what else may lie above it */
	check(block >= sizeof(struct pirn_fiber));
	check(block < sizeof(struct pirn_fiber) + 256);
	/* a page of table for 2 MiB, and part of what lies above those */
	check(tables >= 4096 * 320 / 2048. - 16 && tables < 4096 * 320 / 2048. + 64);
	json_free(all);
}

TEST(repetitions_are_samples)
{
	struct json_value *all, *v;

	skip_without_uring();
	all = json_read(run_well("bench", "--quick", "--json", "--repetitions=5",
				 "spawn")->out, NULL);
	for (v = json_member(all, "rows", JSON_ARRAY)->first; v; v = v->next)
		check_eq(json_number_of(v, "samples"), 5);
	json_free(all);
}

TEST(without_a_subject_it_lists_them)
{
	const struct output *o = run_well("bench");
	size_t i;

	for (i = 0; i < array_size(rows); i++)
		check(strstr(o->out, rows[i].subject));
}

TEST(mistakes_get_one_line_and_status_2)
{
	check_mistake(run_command("bench", "swich"), 2, "swich");
	check_mistake(run_command("bench", "--depth=4", "switch"), 2, "io");
	check_mistake(run_command("bench", "--backend=uring", "spawn"), 2, "wake");
	check_mistake(run_command("bench", "--repetitions=0", "switch"), 2,
		      "from 1 to");
	check_mistake(run_command("bench", "--depth=4", "--batch=5", "io"), 2,
		      "--batch");
	check_mistake(run_command("bench", "--bytes=1000", "io"), 2, "512");
	check_mistake(run_command("bench", "--cpus=a", "switch"), 2, "0-3,8");
	check_mistake(run_command("bench", "--aio-loop", "--no-yardstick", "io"),
		      2, "--aio-loop");
	check_mistake(run_command("bench", "--json=1", "switch"), 2, "no value");
	check_mistake(run_command("bench", "--nonsense"), 2, "--nonsense");
}

/* What only the library can tell is as much a mistake. */
TEST(cpus_that_are_not_there_are_a_mistake)
{
	skip_without_uring();
	check_mistake(run_command("bench", "--cpus=99999", "switch"), 2, "99999");
	check_mistake(run_command("bench", "--cpus=0", "call"), 2, "2 CPUs");
	check_mistake(run_command("bench", "--cpus=0,0", "call"), 2, "different");
}

TEST(what_cannot_be_measured_is_status_1)
{
	skip_without_uring();
	check_mistake(run_command("bench", "--target=/nowhere", "io"), 1,
		      "/nowhere");
}

/* ------------------------------------------------------------------- peers */

/* A copy of the command, and beside it in peers/ programs that do as told. */
struct peers {
	char dir[300];
	char command[320];
};

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");

	check(file && fputs(text, file) >= 0 && !fclose(file));
	must(chmod(path, mode));
}

static void peers_make(struct peers *p)
{
	char line[1200];

	snprintf(p->dir, sizeof(p->dir), "%s", new_path("bench"));
	snprintf(p->command, sizeof(p->command), "%s/pirn", p->dir);
	snprintf(line, sizeof(line), "mkdir -p '%s/peers' && cp '%s' '%s'",
		 p->dir, command_path(), p->command);
	check_eq(system(line), 0);
}

static void peer_make(const struct peers *p, const char *name, const char *script)
{
	char path[400], text[600];

	snprintf(path, sizeof(path), "%s/peers/%s", p->dir, name);
	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	write_file(path, text, 0755);
}

static void peers_remove(struct peers *p)
{
	char line[400];

	snprintf(line, sizeof(line), "rm -rf '%s'", p->dir);
	check_eq(system(line), 0);
}

#define run_copy(p_, ...)                                                     \
	run_program_at((char *const[]){ (p_)->command, __VA_ARGS__, NULL })

TEST(peers_not_built_say_how)
{
	struct peers p;

	peers_make(&p);
	check_mistake(run_copy(&p, "bench", "--quick", "--peers", "spawn"), 1,
		      "make peers");
	peers_remove(&p);
}

TEST(peers_stand_beside_their_rows)
{
	const struct output *o;
	struct json_value *all, *v, *peer;
	struct peers p;

	skip_without_uring();
	peers_make(&p);
	/* medians of what they print; a key that no row has is no matter */
	peer_make(&p, "boost-context", "echo spawn/1 50 10 20; echo other/2 1");
	peer_make(&p, "boost-fiber",
		  "test \"$1 $2 $3 $4\" = 'spawn 0 3 1' || exit 1; echo spawn/1000 8.5");
	peer_make(&p, "boost-asio", "true");
	peer_make(&p, "libuv", "true");
	o = run_copy(&p, "bench", "--quick", "--peers", "--json", "--cpus=0",
		     "--repetitions=3", "spawn");
	check_eq(o->status, 0);
	all = json_read(o->out, NULL);
	v = json_member(all, "rows", JSON_ARRAY)->first;
	peer = json_member(json_member(v, "peers", JSON_OBJECT), "Boost.Context",
			   JSON_OBJECT);
	check_eq(json_number_of(peer, "min"), 10);
	check_eq(json_number_of(peer, "median"), 20);
	check_eq(json_number_of(peer, "max"), 50);
	check(fabs(json_number_of(peer, "ratio") -
		   json_number_of(v, "median") / 20) < 1e-3);
	check_eq(json_count_of(json_member(v, "peers", JSON_OBJECT)), 1);
	peer = json_member(json_member(v->next, "peers", JSON_OBJECT),
			   "Boost.Fiber", JSON_OBJECT);
	check(fabs(json_number_of(peer, "median") - 8.5) < 1e-9);
	json_free(all);

	/* as text a column for those that say something, no other */
	o = run_copy(&p, "bench", "--quick", "--peers", "--cpus=0",
		     "--repetitions=3", "spawn");
	check_eq(o->status, 0);
	check(strstr(o->out, "Boost.Context") && strstr(o->out, "Boost.Fiber"));
	check(!strstr(o->out, "libuv") && !strstr(o->out, "Asio"));
	check(strstr(o->out, "20.00 (") && strstr(o->out, "8.500 ("));
	peers_remove(&p);
}

TEST(peers_that_fail_fail_the_run)
{
	static const char *const bad[] = {
		"echo spawn/1", "echo spawn/1 x", "echo spawn/1 10 -1",
		"echo spawn/1 0", "echo spawn/1 10; exit 3", "kill -9 $$",
	};
	struct peers p;
	size_t i;

	skip_without_uring();
	peers_make(&p);
	peer_make(&p, "boost-fiber", "true");
	peer_make(&p, "boost-asio", "true");
	peer_make(&p, "libuv", "true");
	for (i = 0; i < array_size(bad); i++) {
		peer_make(&p, "boost-context", bad[i]);
		check_mistake(run_copy(&p, "bench", "--quick", "--peers", "spawn"),
			      1, "boost-context");
	}
	peers_remove(&p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switch_says_everything),
		cmocka_unit_test(spawn_says_everything),
		cmocka_unit_test(call_says_everything),
		cmocka_unit_test(post_says_everything),
		cmocka_unit_test(wake_says_everything),
		cmocka_unit_test(sync_says_everything),
		cmocka_unit_test(timer_says_everything),
		cmocka_unit_test(io_says_everything),
		cmocka_unit_test(the_aio_loop_has_rows_of_its_own),
		cmocka_unit_test(memory_says_everything),
		cmocka_unit_test(several_subjects_are_one_document),
		cmocka_unit_test(memory_is_what_the_kernel_says),
		cmocka_unit_test(repetitions_are_samples),
		cmocka_unit_test(without_a_subject_it_lists_them),
		cmocka_unit_test(mistakes_get_one_line_and_status_2),
		cmocka_unit_test(cpus_that_are_not_there_are_a_mistake),
		cmocka_unit_test(what_cannot_be_measured_is_status_1),
		cmocka_unit_test(peers_not_built_say_how),
		cmocka_unit_test(peers_stand_beside_their_rows),
		cmocka_unit_test(peers_that_fail_fail_the_run),
	};

	return run_program(argc, argv, "bench", tests, array_size(tests));
}
