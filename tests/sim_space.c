// SPDX-License-Identifier: MIT
/*
 * Zeros, allocation, discards and fdatasync in the simulator: what readers see,
 * and what a crash leaves of them.
 *
 * One life changes a disk and notes what it was told; the world takes the power
 * away; another life looks.
 */
#include <linux/falloc.h>

#include "sim_helpers.h"

#define SECTORS 64u
#define BYTES (SECTORS * 512)
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct pirn_file *file;
static char *buf;

/* What the life before did, and what a look finds; not on the node. */
static struct {
	bool sync;
	bool done;			/* it came to its end */
	unsigned int old, zeros, other;	/* sectors */
	uint64_t bytes;
} life;

static void take(const char *path)
{
	file = file_at(path);
	buf = pirn_buf_alloc(BYTES);
	check(buf);
}

static void write_all(uint64_t seed)
{
	fill(buf, BYTES, 0, seed);
	check_eq(pirn_pwrite(file, buf, BYTES, 0, 0), BYTES);
}

static bool all_of(const char *at, char byte)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		if (at[i] != byte)
			return false;
	return true;
}

/* The sectors that are what seed 1 is, zeros, and neither. */
static void count(void)
{
	unsigned int i;

	life.old = life.zeros = life.other = 0;
	for (i = 0; i < SECTORS; i++) {
		const char *at = buf + i * 512;

		if (first_wrong(at, 512, i * 512, 1) == 512)
			life.old++;
		else if (all_of(at, 0))
			life.zeros++;
		else
			life.other++;
	}
}

static int look(void *arg)
{
	take(arg);
	life.bytes = (uint64_t)pirn_size(file);
	memset(buf, 0, BYTES);
	check_op(pirn_pread(file, buf, BYTES, 0), >=, 0);
	count();
	return 0;
}

/* Lets @first run for @us, or to where it parks; then a crash; then @after. */
static void crash_after(const struct pirn_sim_options *opt,
			int (*first)(void *arg), int (*after)(void *arg),
			const char *path, uint64_t us)
{
	struct pirn_sim *sim = world(opt);

	life.done = false;
	sim_eq(sim, pirn_sim_disk(sim, 0, "disk", BYTES, 512), 0);
	sim_eq(sim, pirn_sim_start(sim, 0, NULL, first, (void *)(uintptr_t)path),
	       0);
	sim_eq(sim, pirn_sim_run(sim, 1000 * MS + us * US), PIRN_SIM_TIME);
	sim_eq(sim, pirn_sim_crash(sim, 0), 0);
	live(sim, after, (void *)(uintptr_t)path);
	pirn_sim_destroy(sim);
}

/* Every fault that what was made durable survives. */
static struct pirn_sim_options losing(uint64_t seed)
{
	struct pirn_sim_options opt = with_seed(seed);

	opt.fault[PIRN_SIM_LOST].rate = MILLION;
	opt.fault[PIRN_SIM_REORDER].rate = seed % 2 ? MILLION : 0;
	opt.fault[PIRN_SIM_TORN].rate = MILLION / 2;
	return opt;
}

/* ------------------------------------------------------------------- zeros */

static int zero_all(void *arg)
{
	take(arg);
	check_eq(pirn_sync_dir("."), 0);
	write_all(1);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_write_zeroes(file, 0, BYTES), 0);
	if (life.sync)
		check_eq(pirn_fdatasync(file), 0);
	life.done = true;
	check_eq(pirn_park(), 0);
	return 0;
}

static void zeros_of(const char *path)
{
	unsigned int seed, torn = 0, kept = 0, gone = 0;

	for (seed = 0; seed < seeds(200); seed++) {
		struct pirn_sim_options opt = losing(seed);

		life.sync = seed % 4 == 3;
		crash_after(&opt, zero_all, look, path, 50000);
		check(life.done);
		check_eq(life.bytes, BYTES);
		check_eq(life.other, 0);
		if (life.sync)
			check_eq(life.zeros, SECTORS);
		torn += life.zeros && life.old;
		gone += !life.zeros;
		kept += !life.sync && !life.old;
	}
	/* they are a write of zeros: whole, in part, or not there */
	check_op(torn, >, seeds(20));
	check_op(gone, >, seeds(20));
	check_op(kept, >, 0);
}

TEST(zeros_are_a_write_that_may_be_torn)
{
	zeros_of("file");
	zeros_of("disk");
}

static int punch(void *arg)
{
	take(arg);
	write_all(1);
	check_eq(pirn_fallocate(file, PUNCH, BYTES / 4, 2 * BYTES), 0);
	check_eq(pirn_size(file), BYTES);
	check_eq(pirn_pread(file, buf, BYTES, 0), BYTES);
	count();
	check_eq(life.old, SECTORS / 4);
	check_eq(life.zeros, SECTORS * 3 / 4);
	/* what is written over a part of a page of them */
	fill(buf, 1024, 512 * 33, 1);
	check_eq(pirn_pwrite(file, buf, 1024, 512 * 33, 0), 1024);
	check_eq(pirn_pread(file, buf, BYTES, 0), BYTES);
	count();
	check_eq(life.old, SECTORS / 4 + 2);
	check_eq(life.other, 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_hole_is_cut_at_the_end)
{
	struct pirn_sim_options opt = with_seed(1);
	struct pirn_sim *sim = world(&opt);

	sim_eq(sim, pirn_sim_disk(sim, 0, "disk", BYTES, 512), 0);
	live(sim, punch, (void *)(uintptr_t)"file");
	live(sim, punch, (void *)(uintptr_t)"disk");
	pirn_sim_destroy(sim);
}

/* ----------------------------------------------------------------- lengths */

static int allocate(void *arg)
{
	take(arg);
	check_eq(pirn_sync_dir("."), 0);
	check_eq(pirn_fallocate(file, 0, 0, BYTES), 0);
	check_eq(pirn_size(file), BYTES);
	if (life.sync)
		check_eq(pirn_fdatasync(file), 0);
	check_eq(pirn_park(), 0);
	return 0;
}

TEST(an_allocated_length_is_durable_by_a_sync)
{
	unsigned int seed, lost = 0;

	for (seed = 0; seed < seeds(100); seed++) {
		struct pirn_sim_options opt = losing(seed);

		life.sync = seed % 4 > 1;
		crash_after(&opt, allocate, look, "file", 50000);
		check(life.bytes == 0 || life.bytes == BYTES);
		if (life.sync)
			check_eq(life.bytes, BYTES);
		lost += !life.bytes;
	}
	check_op(lost, >, seeds(10));
}

/* A longer file by each of the ways there are. */
static int grow(void *arg)
{
	take(arg);
	check_eq(pirn_sync_dir("."), 0);
	write_all(1);
	check_eq(pirn_fdatasync(file), 0);
	life.done = true;
	check_eq(pirn_park(), 0);
	return 0;
}

TEST(fdatasync_makes_data_and_length_durable)
{
	unsigned int seed;

	for (seed = 0; seed < seeds(100); seed++) {
		struct pirn_sim_options opt = losing(seed);

		crash_after(&opt, grow, look, "file", 50000);
		check(life.done);
		check_eq(life.bytes, BYTES);
		check_eq(life.old, SECTORS);
	}
}

/* ---------------------------------------------------------------- discards */

static int discard(void *arg)
{
	take(arg);
	write_all(1);
	check_eq(pirn_discard(file, 0, BYTES), 0);
	check_eq(pirn_pread(file, buf, BYTES, 0), BYTES);
	count();
	check_eq(pirn_close(file), 0);
	return 0;
}

static int read_again(void *arg)
{
	char *first = pirn_buf_alloc(BYTES);

	look(arg);
	check_eq(pirn_pread(file, first, BYTES, 0), BYTES);
	life.done = memcmp(first, buf, BYTES);
	/* until it is written */
	write_all(1);
	check_eq(pirn_pread(file, buf, BYTES, 0), BYTES);
	check_filled(buf, BYTES, 0, 1);
	return 0;
}

TEST(what_was_discarded_is_anything)
{
	unsigned int seed, old = 0, zeros = 0, other = 0, differ = 0;
	uint64_t hash = 0, again = 0;

	for (seed = 0; seed < 20; seed++) {
		struct pirn_sim_options opt = with_seed(seed);
		struct pirn_sim *sim = world(&opt);

		sim_eq(sim, pirn_sim_disk(sim, 0, "disk", BYTES, 512), 0);
		live(sim, discard, (void *)(uintptr_t)"disk");
		old += life.old;
		zeros += life.zeros;
		other += life.other;
		live(sim, read_again, (void *)(uintptr_t)"disk");
		differ += life.done;
		again = pirn_sim_hash(sim);
		pirn_sim_destroy(sim);
		check(hash != again);
		hash = again;
	}
	check_op(old, >, SECTORS);
	check_op(zeros, >, SECTORS);
	check_op(other, >, SECTORS);
	check_op(differ, >, 10);
}

TEST(what_it_is_the_seed_says)
{
	struct pirn_sim_options opt = with_seed(4711);
	unsigned int i, old[2], zeros[2];
	uint64_t hash[2];

	for (i = 0; i < 2; i++) {
		struct pirn_sim *sim = world(&opt);

		sim_eq(sim, pirn_sim_disk(sim, 0, "disk", BYTES, 512), 0);
		live(sim, discard, (void *)(uintptr_t)"disk");
		old[i] = life.old;
		zeros[i] = life.zeros;
		hash[i] = pirn_sim_hash(sim);
		pirn_sim_destroy(sim);
	}
	check_eq(old[0], old[1]);
	check_eq(zeros[0], zeros[1]);
	check_eq(hash[0], hash[1]);
}

/* Durable is what was written since, and not that it was discarded before. */
static int discard_and_write(void *arg)
{
	take(arg);
	write_all(2);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_discard(file, 0, BYTES), 0);
	write_all(1);
	if (life.sync)
		check_eq(pirn_fdatasync(file), 0);
	check_eq(pirn_park(), 0);
	return 0;
}

TEST(a_write_after_a_discard_is_durable_by_a_sync)
{
	unsigned int seed, zeros = 0;

	for (seed = 0; seed < seeds(200); seed++) {
		struct pirn_sim_options opt = losing(seed);

		life.sync = seed % 4 > 1;
		crash_after(&opt, discard_and_write, look, "disk", 50000);
		if (life.sync)
			check_eq(life.old, SECTORS);
		zeros += life.zeros;
	}
	/* where the write was lost the discard shows */
	check_op(zeros, >, seeds(100));
}

/* Discarded, durably: it stays anything, over a crash. */
static int discard_and_sync(void *arg)
{
	take(arg);
	write_all(1);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_discard(file, 0, BYTES), 0);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_park(), 0);
	return 0;
}

TEST(a_crash_does_not_bring_it_back)
{
	unsigned int seed, whole = 0;

	for (seed = 0; seed < 50; seed++) {
		struct pirn_sim_options opt = losing(seed);

		crash_after(&opt, discard_and_sync, look, "disk", 50000);
		whole += life.old == SECTORS;
	}
	check_eq(whole, 0);
}

/* ------------------------------------------------------------------ errors */

static int failing_zeros(void *arg)
{
	take(arg);
	check_eq(pirn_write_zeroes(file, 0, BYTES), -EIO);
	check_eq(pirn_fallocate(file, PUNCH, 0, BYTES), -EIO);
	check_eq(pirn_size(file) % 512, 0);
	/* a write that failed as such is told by it, not by a sync */
	check_eq(pirn_fdatasync(file), 0);
	return 0;
}

static int failing_sync(void *arg)
{
	take(arg);
	write_all(1);
	check_eq(pirn_fdatasync(file), -EIO);
	check_eq(pirn_fsync(file), -EIO);
	check_eq(pirn_fdatasync(file), -EIO);
	check_eq(pirn_pwrite(file, buf, 512, 0, PIRN_DSYNC), -EIO);
	return 0;
}

static int no_room(void *arg)
{
	take(arg);
	check_eq(pirn_fallocate(file, 0, 0, BYTES), -ENOSPC);
	check_eq(pirn_fallocate(file, FALLOC_FL_KEEP_SIZE, 0, BYTES), -ENOSPC);
	check_eq(pirn_write_zeroes(file, 0, BYTES), -ENOSPC);
	check_eq(pirn_size(file), 0);
	check_eq(pirn_fallocate(file, 0, 1ull << 62, BYTES), -EFBIG);
	return 0;
}

static int a_device(void *arg)
{
	take(arg);
	check_eq(pirn_fallocate(file, 0, 0, BYTES), -EOPNOTSUPP);
	check_eq(pirn_fallocate(file, FALLOC_FL_KEEP_SIZE, 0, BYTES), -EOPNOTSUPP);
	check_eq(pirn_write_zeroes(file, 512, BYTES), -EINVAL);
	check_eq(pirn_write_zeroes(file, BYTES, 512), -EINVAL);
	check_eq(pirn_discard(file, 512, BYTES), -EINVAL);
	check_eq(pirn_discard(file, 0, 256), -EINVAL);
	check_eq(pirn_fallocate(file, PUNCH, BYTES, 512), -EINVAL);
	check_eq(pirn_fallocate(file, PUNCH, 512, BYTES), 0);
	check_eq(pirn_size(file), BYTES);
	return 0;
}

TEST(errors_are_those_of_a_kernel)
{
	struct pirn_sim_options opt = with_fault(1, PIRN_SIM_EIO_WRITE, MILLION);
	struct pirn_sim *sim;

	live_in(&opt, failing_zeros, (void *)(uintptr_t)"file", NULL);
	opt = with_fault(1, PIRN_SIM_EIO_FSYNC, MILLION);
	opt.fault[PIRN_SIM_EIO_FSYNC].most = 1;
	live_in(&opt, failing_sync, (void *)(uintptr_t)"file", NULL);
	opt = with_fault(1, PIRN_SIM_ENOSPC, MILLION);
	live_in(&opt, no_room, (void *)(uintptr_t)"file", NULL);
	opt = with_seed(1);
	sim = world(&opt);
	sim_eq(sim, pirn_sim_disk(sim, 0, "disk", BYTES, 512), 0);
	live(sim, a_device, (void *)(uintptr_t)"disk");
	pirn_sim_destroy(sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeros_are_a_write_that_may_be_torn),
		cmocka_unit_test(a_hole_is_cut_at_the_end),
		cmocka_unit_test(an_allocated_length_is_durable_by_a_sync),
		cmocka_unit_test(fdatasync_makes_data_and_length_durable),
		cmocka_unit_test(what_was_discarded_is_anything),
		cmocka_unit_test(what_it_is_the_seed_says),
		cmocka_unit_test(a_write_after_a_discard_is_durable_by_a_sync),
		cmocka_unit_test(a_crash_does_not_bring_it_back),
		cmocka_unit_test(errors_are_those_of_a_kernel),
	};

	return run_program(argc, argv, "sim_space", tests, array_size(tests));
}
