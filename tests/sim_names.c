// SPDX-License-Identifier: MIT
/* Names in a simulated world: as they are seen, and what a crash leaves. */
#include <stdlib.h>

#include "sim_helpers.h"

static bool there(const char *path)
{
	struct pirn_file *file;
	int err = pirn_open(&file, path, O_RDONLY, 0);

	if (err) {
		check_eq(err, -ENOENT);
		return false;
	}
	check_eq(pirn_close(file), 0);
	return true;
}

static void make(const char *path)
{
	check_eq(pirn_close(file_at(path)), 0);
}

static int spellings(void *arg)
{
	struct pirn_file *file;

	(void)arg;
	check_eq(pirn_open(&file, "d/f", O_RDWR, 0), -ENOENT);
	make("d/f");
	check(there("d/f") && there("./d//f") && there("d/./f") &&
	      there("d/x/../f") && there("x/../d/f"));
	check(!there("/d/f") && !there("../d/f") && !there("f"));
	make("../g");
	check(there("../g") && there("d/../../g") && !there("g"));
	make("/r");
	check(there("/r") && there("//r") && there("/../r") && !there("r"));
	check_eq(pirn_open(&file, "d/f", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	check_eq(pirn_open(&file, "d/f/g", O_RDWR | O_CREAT, 0600), -ENOTDIR);
	check_eq(pirn_open(&file, "d", O_RDWR | O_CREAT, 0600), -EISDIR);
	check_eq(pirn_open(&file, "", O_RDWR | O_CREAT, 0600), -ENOENT);
	check_eq(pirn_rename("none", "d/g"), -ENOENT);
	check_eq(pirn_unlink("none"), -ENOENT);
	check_eq(pirn_sync_dir("d/f"), -ENOTDIR);
	check_eq(pirn_rename("d/f", "e/f"), 0);
	check(!there("d/f") && there("e/f"));
	check_eq(pirn_rename("e/f", "e/f"), 0);
	check(there("e/f"));
	check_eq(pirn_unlink("e/f"), 0);
	check(!there("e/f"));
	return 0;
}

TEST(paths_have_one_spelling)
{
	check_eq(live_in(NULL, spellings, NULL, NULL), 0);
}

/* A file without a name lives as long as its handle; O_TRUNC empties. */
static int unnamed(void *arg)
{
	struct pirn_file *file = file_at("f"), *other;
	char *buf = pirn_buf_alloc(4096);

	(void)arg;
	fill(buf, 4096, 0, 1);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	check_eq(pirn_unlink("f"), 0);
	other = file_at("f");
	check_eq(pirn_size(other), 0);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_filled(buf, 4096, 0, 1);
	check_eq(pirn_pwrite(other, buf, 4096, 0, 0), 4096);
	check_eq(pirn_close(other), 0);
	check_eq(pirn_open(&other, "f", O_RDWR | O_TRUNC, 0), 0);
	check_eq(pirn_size(other), 0);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_close(other), 0);
	return 0;
}

TEST(a_file_outlives_its_name)
{
	check_eq(live_in(NULL, unnamed, NULL, NULL), 0);
}

static int names_take_time(void *arg)
{
	uint64_t start = pirn_now();

	(void)arg;
	make("a");
	check_eq(pirn_rename("a", "b"), 0);
	check_eq(pirn_unlink("b"), 0);
	check_eq(pirn_sync_dir("."), 0);
	check_op(pirn_now() - start, >=, 30 * US);
	return 0;
}

TEST(changes_of_names_take_time)
{
	check_eq(live_in(NULL, names_take_time, NULL, NULL), 0);
}

/* ------------------------------------------------------------------ crashes */

static struct {
	bool sync;
	bool old, new, kept, moved;
	unsigned char content;
} seen;

/* "old" durable and unlinked; "new" made; "from" durable and renamed over "to". */
static int change(void *arg)
{
	struct pirn_file *file;
	char *buf = pirn_buf_alloc(512);

	(void)arg;
	make("d/old");
	file = file_at("d/from");
	memset(buf, 'f', 512);
	check_eq(pirn_pwrite(file, buf, 512, 0, PIRN_DSYNC), 512);
	file = file_at("d/to");
	memset(buf, 't', 512);
	check_eq(pirn_pwrite(file, buf, 512, 0, PIRN_DSYNC), 512);
	check_eq(pirn_sync_dir("d"), 0);
	check_eq(pirn_unlink("d/old"), 0);
	make("d/new");
	check_eq(pirn_rename("d/from", "d/to"), 0);
	if (seen.sync)
		check_eq(pirn_sync_dir("./d/"), 0);
	else
		check_eq(pirn_sync_dir("e"), 0);
	return 0;
}

static int look(void *arg)
{
	struct pirn_file *file;
	unsigned char *buf = pirn_buf_alloc(512);

	(void)arg;
	seen.old = there("d/old");
	seen.new = there("d/new");
	seen.kept = there("d/from");
	check_eq(pirn_open(&file, "d/to", O_RDONLY, 0), 0);
	check_eq(pirn_pread(file, buf, 512, 0), 512);
	seen.content = buf[0];
	return 0;
}

static void crash(const struct pirn_sim_options *opt, bool sync)
{
	struct pirn_sim *sim = world(opt);

	seen.sync = sync;
	live(sim, change, NULL);
	sim_eq(sim, pirn_sim_crash(sim, 0), 0);
	live(sim, look, NULL);
	pirn_sim_destroy(sim);
}

TEST(without_faults_a_crash_keeps_names)
{
	struct pirn_sim_options opt = with_seed(0);

	for (opt.seed = 0; opt.seed < 10; opt.seed++) {
		crash(&opt, false);
		check(!seen.old && seen.new && !seen.kept);
		check_eq(seen.content, 'f');
	}
}

TEST(names_may_be_as_before)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_NAMES, 500000);
	unsigned int old = 0, new = 0, renamed = 0, mixed = 0;

	for (opt.seed = 0; opt.seed < 100; opt.seed++) {
		crash(&opt, false);
		old += seen.old;
		new += seen.new;
		/* never half a rename */
		check_eq(seen.kept, seen.content == 't');
		renamed += !seen.kept;
		mixed += seen.old && seen.new;
	}
	check(old > 30 && old < 70);
	check(new > 30 && new < 70);
	check(renamed > 30 && renamed < 70);
	check(mixed > 10);
}

TEST(names_of_a_synced_directory_stay)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_NAMES, MILLION);

	for (opt.seed = 0; opt.seed < 20; opt.seed++) {
		crash(&opt, true);
		check(!seen.old && seen.new && !seen.kept);
		check_eq(seen.content, 'f');
	}
}

/* A chain of changes of one name: what is undone takes the later ones along. */
static int chain(void *arg)
{
	(void)arg;
	make("a");
	check_eq(pirn_rename("a", "b"), 0);
	check_eq(pirn_rename("b", "c"), 0);
	check_eq(pirn_rename("c", "d"), 0);
	return 0;
}

static int look_chain(void *arg)
{
	unsigned int n = there("a") + there("b") + there("c") + there("d");

	(void)arg;
	check_op(n, <=, 1);
	return there("a") ? 1 : there("b") ? 2 : there("c") ? 3 : there("d") ? 4 : 0;
}

TEST(changes_stand_on_earlier_ones)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_NAMES, 300000);
	unsigned int count[5] = { 0 }, i;

	for (opt.seed = 0; opt.seed < 200; opt.seed++) {
		struct pirn_sim *sim = world(&opt);

		live(sim, chain, NULL);
		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		count[live(sim, look_chain, NULL)]++;
		pirn_sim_destroy(sim);
	}
	for (i = 0; i < 5; i++)
		check_op(count[i], >, 5);
}

/* Of a rename between directories a sync of either is enough. */
static int across(void *arg)
{
	make("x/a");
	check_eq(pirn_sync_dir("x"), 0);
	check_eq(pirn_rename("x/a", "y/a"), 0);
	check_eq(pirn_sync_dir(arg), 0);
	return 0;
}

static int look_across(void *arg)
{
	(void)arg;
	check(there("y/a") && !there("x/a"));
	return 0;
}

TEST(a_rename_is_durable_with_either_directory)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_NAMES, MILLION);

	for (opt.seed = 0; opt.seed < 2; opt.seed++) {
		struct pirn_sim *sim = world(&opt);

		live(sim, across, opt.seed ? "x" : "y");
		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		live(sim, look_across, NULL);
		pirn_sim_destroy(sim);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_have_one_spelling),
		cmocka_unit_test(a_file_outlives_its_name),
		cmocka_unit_test(changes_of_names_take_time),
		cmocka_unit_test(without_faults_a_crash_keeps_names),
		cmocka_unit_test(names_may_be_as_before),
		cmocka_unit_test(names_of_a_synced_directory_stay),
		cmocka_unit_test(changes_stand_on_earlier_ones),
		cmocka_unit_test(a_rename_is_durable_with_either_directory),
	};

	return run_program(argc, argv, "sim_names", tests, array_size(tests));
}
