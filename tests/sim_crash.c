// SPDX-License-Identifier: MIT
/*
 * What a crash leaves of files: with each fault that a crash has, and without.
 *
 * One life writes numbered sectors and notes what it was told; the world takes
 * the power away; another life looks.
 */
#include <stdlib.h>

#include "sim_helpers.h"

#define SECTORS 64u

/* What the life before did, and what is there now; not on the node. */
static struct {
	bool sync;			/* after each write */
	bool dsync;
	unsigned int sectors;		/* a write */
	unsigned int written;		/* writes completed */
	unsigned int synced;		/* known to be durable */
	bool here[SECTORS];
	uint64_t bytes;
} life;

static int write_all(void *arg)
{
	unsigned int n = life.sectors, i;
	struct pirn_file *file = file_at("f");
	char *buf = pirn_buf_alloc(n * 512);

	(void)arg;
	check_eq(pirn_sync_dir("."), 0);
	for (i = 0; i < SECTORS / n; i++) {
		fill(buf, n * 512, i * n * 512, 5);
		check_eq(pirn_pwrite(file, buf, n * 512, i * n * 512,
				     life.dsync ? PIRN_DSYNC : 0), n * 512);
		life.written++;
		if (life.sync)
			check_eq(pirn_fsync(file), 0);
		if (life.sync || life.dsync)
			life.synced = life.written;
	}
	check_eq(pirn_park(), 0);
	return 0;
}

/* Each sector is as written, or zeros. */
static int look(void *arg)
{
	char *buf = pirn_buf_alloc(SECTORS * 512);
	struct pirn_file *file;
	unsigned int i;

	(void)arg;
	check_eq(pirn_open(&file, "f", O_RDONLY, 0), 0);
	life.bytes = (uint64_t)pirn_size(file);
	memset(buf, 0, SECTORS * 512);
	check_eq(pirn_pread(file, buf, SECTORS * 512, 0), life.bytes);
	for (i = 0; i < SECTORS; i++) {
		life.here[i] = first_wrong(buf + i * 512, 512, i * 512, 5) == 512;
		check(life.here[i] || (!buf[i * 512] && !buf[i * 512 + 511]));
	}
	return 0;
}

/* Runs write_all() until @ms, or at 0 until nothing more happens. */
static void crash_after(const struct pirn_sim_options *opt, uint64_t us,
			uint64_t *count)
{
	struct pirn_sim *sim = world(opt);

	life.written = 0;
	life.synced = 0;
	sim_eq(sim, pirn_sim_start(sim, 0, NULL, write_all, NULL), 0);
	sim_eq(sim, pirn_sim_run(sim, 1000 * MS + us * US), PIRN_SIM_TIME);
	sim_eq(sim, pirn_sim_crash(sim, 0), 0);
	live(sim, look, NULL);
	for (int i = 0; i < PIRN_SIM_FAULTS && count; i++)
		count[i] = injected(sim, (enum pirn_sim_fault)i);
	pirn_sim_destroy(sim);
}

/* Writes whose sectors are all there, and the first that is not whole. */
static unsigned int whole(unsigned int *first_gap)
{
	unsigned int n = life.sectors, i, j, here, sum = 0;

	*first_gap = SECTORS / n;
	for (i = 0; i < SECTORS / n; i++) {
		for (j = here = 0; j < n; j++)
			here += life.here[i * n + j];
		sum += here == n;
		if (here < n && *first_gap > i)
			*first_gap = i;
	}
	return sum;
}

/* Writes of which some sectors are there and some not. */
static unsigned int torn(void)
{
	unsigned int n = life.sectors, i, j, here, sum = 0;

	for (i = 0; i < SECTORS / n; i++) {
		for (j = here = 0; j < n; j++)
			here += life.here[i * n + j];
		sum += here && here < n;
	}
	return sum;
}

static void begin(unsigned int sectors, bool sync, bool dsync)
{
	life.sectors = sectors;
	life.sync = sync;
	life.dsync = dsync;
}

TEST(without_faults_a_crash_loses_nothing)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int gap;

	begin(2, false, false);
	for (opt.seed = 0; opt.seed < 50; opt.seed++) {
		crash_after(&opt, 1000, NULL);
		check_op(whole(&gap), >=, life.written);
		check_op(gap, >=, life.written);
		/* the one under way all or nothing */
		check_eq(torn(), 0);
	}
}

TEST(lost_writes_are_the_last)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_LOST, MILLION);
	unsigned int gap, lost = 0, all = 0, none = 0;

	begin(2, false, false);
	for (opt.seed = 0; opt.seed < seeds(200); opt.seed++) {
		crash_after(&opt, 1000, NULL);
		/* what is there has no gap */
		check_eq(whole(&gap), gap);
		check_eq(torn(), 0);
		lost += gap < life.written;
		all += gap >= life.written;
		none += gap == 0;
	}
	check_op(lost, >, seeds(100));
	check_op(all, >=, 1);
	check_op(none, >=, 1);
}

TEST(reordered_writes_are_any)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_REORDER, MILLION);
	unsigned int gap, gaps = 0;

	begin(2, false, false);
	for (opt.seed = 0; opt.seed < seeds(200); opt.seed++) {
		crash_after(&opt, 1000, NULL);
		gaps += whole(&gap) > gap;
		check_eq(torn(), 0);
	}
	check_op(gaps, >, seeds(100));
}

/* Whatever else is lost. */
static void durable(bool sync, bool dsync)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int gap, synced = 0;

	opt.fault[PIRN_SIM_LOST].rate = MILLION;
	opt.fault[PIRN_SIM_TORN].rate = MILLION;
	begin(2, sync, dsync);
	for (opt.seed = 0; opt.seed < seeds(200); opt.seed++) {
		opt.fault[PIRN_SIM_REORDER].rate = opt.seed % 2 ? MILLION : 0;
		crash_after(&opt, 1500, NULL);
		whole(&gap);
		check_op(gap, >=, life.synced);
		check_op(life.bytes, >=, life.synced * 1024);
		synced += life.synced;
	}
	check_op(synced, >, seeds(1000));
}

TEST(what_was_synced_is_there)
{
	durable(true, false);
}

TEST(what_was_written_through_is_there)
{
	durable(false, true);
}

TEST(a_lying_sync_makes_nothing_durable)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_LYING_FLUSH, 500000);
	uint64_t count[PIRN_SIM_FAULTS];
	unsigned int gap, betrayed = 0;

	opt.fault[PIRN_SIM_LOST].rate = MILLION;
	begin(2, true, false);
	for (opt.seed = 0; opt.seed < seeds(200); opt.seed++) {
		crash_after(&opt, 1500, count);
		whole(&gap);
		if (gap < life.synced) {
			check_op(count[PIRN_SIM_LYING_FLUSH], >, 0);
			betrayed++;
		}
	}
	check_op(betrayed, >, seeds(20));
}

TEST(a_torn_write_has_some_of_its_sectors)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_TORN, MILLION);
	uint64_t count[PIRN_SIM_FAULTS];
	unsigned int seen = 0;

	/* alone: only the one that is under way */
	begin(8, false, false);
	for (opt.seed = 0; opt.seed < seeds(200); opt.seed++) {
		crash_after(&opt, 300, count);
		check_op(torn(), <=, 1);
		check_op(torn(), <=, count[PIRN_SIM_TORN]);
		seen += torn();
	}
	check_op(seen, >, seeds(20));
	/* with reorder any */
	opt.fault[PIRN_SIM_REORDER].rate = MILLION;
	for (seen = 0, opt.seed = 0; opt.seed < seeds(100); opt.seed++) {
		crash_after(&opt, 300, NULL);
		seen += torn() > 1;
	}
	check_op(seen, >, seeds(20));
	/* a sector is whole, and so is a write of one */
	begin(1, false, false);
	opt.fault[PIRN_SIM_REORDER].rate = 0;
	crash_after(&opt, 300, count);
	check_eq(count[PIRN_SIM_TORN], 0);
}

TEST(large_blocks_are_not_torn)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_TORN, MILLION);
	uint64_t count[PIRN_SIM_FAULTS];

	opt.fault[PIRN_SIM_REORDER].rate = MILLION;
	opt.block_bytes = 4096;
	begin(8, false, false);
	for (opt.seed = 0; opt.seed < 50; opt.seed++) {
		crash_after(&opt, 300, count);
		check_eq(torn(), 0);
		check_eq(count[PIRN_SIM_TORN], 0);
	}
	/* two blocks may part */
	begin(16, false, false);
	for (opt.seed = 0; opt.seed < 50 && !torn(); opt.seed++)
		crash_after(&opt, 300, NULL);
	check_op(torn(), >, 0);
	for (unsigned int i = 0; i < SECTORS; i++)
		check_eq(life.here[i], life.here[i & ~7u]);
}

static int write_late(void *arg)
{
	char *buf = pirn_buf_alloc(512);

	fill(buf, 512, 0, 5);
	check_eq(pirn_pwrite(arg, buf, 512, 0, 0), 512);
	life.written = 1;
	return 0;
}

/* A write that ends while a sync is under way; 1 when it did. */
static int sync_beside(void *arg)
{
	struct pirn_file *file = file_at("f");
	struct pirn_fiber *fiber;
	int early;

	(void)arg;
	life.written = 0;
	check_eq(pirn_truncate(file, SECTORS * 512), 0);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_sync_dir("."), 0);
	check_eq(pirn_spawn(&fiber, write_late, file), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_fsync(file), 0);
	early = (int)life.written;
	check_eq(pirn_join(fiber, NULL), 0);
	return early;
}

TEST(a_sync_covers_what_had_completed_and_no_more)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_LOST, MILLION);
	unsigned int during = 0, lost = 0;

	for (opt.seed = 0; opt.seed < seeds(100); opt.seed++) {
		struct pirn_sim *sim = world(&opt);
		int early = live(sim, sync_beside, NULL);

		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		live(sim, look, NULL);
		pirn_sim_destroy(sim);
		during += (unsigned int)early;
		lost += early && !life.here[0];
	}
	check_op(during, >, seeds(20));
	check_op(lost, >, during / 5);
}

/* ----------------------------------------------------------- a failed sync */

static int sync_fails(void *arg)
{
	struct pirn_file *file = file_at("f"), *again;
	char *buf = pirn_buf_alloc(512);
	unsigned int i;

	(void)arg;
	for (i = 0; i < SECTORS; i++) {
		fill(buf, 512, i * 512, 5);
		check_eq(pirn_pwrite(file, buf, 512, i * 512, 0), 512);
	}
	check_eq(pirn_fsync(file), -EIO);
	/* readers still see it all */
	for (i = 0; i < SECTORS; i++) {
		check_eq(pirn_pread(file, buf, 512, i * 512), 512);
		check_filled(buf, 512, i * 512, 5);
	}
	/* a sync that a new handle makes says nothing, and makes nothing good */
	again = file_at("f");
	check_eq(pirn_fsync(again), 0);
	check_eq(pirn_sync_dir("."), 0);
	return 0;
}

TEST(after_a_failed_sync_no_sync_helps)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_EIO_FSYNC, MILLION);
	unsigned int gap, here, some = 0;

	opt.fault[PIRN_SIM_EIO_FSYNC].most = 1;
	begin(1, false, false);
	for (opt.seed = 0; opt.seed < 20; opt.seed++) {
		struct pirn_sim *sim = world(&opt);

		live(sim, sync_fails, NULL);
		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		live(sim, look, NULL);
		pirn_sim_destroy(sim);
		here = whole(&gap);
		some += here > 10 && here < SECTORS - 10;
	}
	check_eq(some, 20);
}

/* ----------------------------------------------------------------- lengths */

static int shorten(void *arg)
{
	struct pirn_file *file = file_at("f");
	char *buf = pirn_buf_alloc(SECTORS * 512);

	fill(buf, SECTORS * 512, 0, 5);
	check_eq(pirn_pwrite(file, buf, SECTORS * 512, 0, 0), SECTORS * 512);
	check_eq(pirn_fsync(file), 0);
	check_eq(pirn_sync_dir("."), 0);
	check_eq(pirn_truncate(file, 1024), 0);
	check_eq(pirn_size(file), 1024);
	if (*(bool *)arg)
		check_eq(pirn_fsync(file), 0);
	return 0;
}

TEST(a_length_is_durable_after_a_sync)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_LOST, MILLION);
	unsigned int old = 0;
	bool sync;

	begin(1, false, false);
	for (opt.seed = 0; opt.seed < 60; opt.seed++) {
		struct pirn_sim *sim = world(&opt);

		sync = opt.seed % 2;
		live(sim, shorten, &sync);
		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		live(sim, look, NULL);
		pirn_sim_destroy(sim);
		if (sync)
			check_eq(life.bytes, 1024);
		else
			check(life.bytes == 1024 || life.bytes == SECTORS * 512);
		old += life.bytes > 1024;
	}
	check_op(old, >, 5);
	check_op(old, <, 25);
}

/*
 * A write through that goes over one that is only in the cache: the older must
 * not come back, whichever of the cache is kept.
 */
static int over(void *arg)
{
	struct pirn_file *file = file_at("f");
	char *buf = pirn_buf_alloc(4096);

	(void)arg;
	check_eq(pirn_sync_dir("."), 0);
	memset(buf, 'o', 4096);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	memset(buf, 'n', 1024);
	check_eq(pirn_pwrite(file, buf, 1024, 1024, PIRN_DSYNC), 1024);
	return 0;
}

static int look_over(void *arg)
{
	struct pirn_file *file = file_at("f");
	char *buf = pirn_buf_alloc(4096);
	unsigned int i;

	memset(buf, 0, 4096);
	check_op(pirn_pread(file, buf, 4096, 0), >=, 2048);
	for (i = 1024; i < 2048; i++)
		check_eq(buf[i], 'n');
	check(buf[0] == 0 || buf[0] == 'o');
	*(unsigned int *)arg += buf[0] == 'o';
	return 0;
}

TEST(an_older_write_does_not_come_back)
{
	struct pirn_sim_options opt = with_fault(0, PIRN_SIM_REORDER, MILLION);
	unsigned int kept = 0;

	for (opt.seed = 0; opt.seed < 60; opt.seed++) {
		struct pirn_sim *sim = world(&opt);

		live(sim, over, NULL);
		sim_eq(sim, pirn_sim_crash(sim, 0), 0);
		live(sim, look_over, &kept);
		pirn_sim_destroy(sim);
	}
	check_op(kept, >, 10);
	check_op(kept, <, 50);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults_a_crash_loses_nothing),
		cmocka_unit_test(lost_writes_are_the_last),
		cmocka_unit_test(reordered_writes_are_any),
		cmocka_unit_test(what_was_synced_is_there),
		cmocka_unit_test(what_was_written_through_is_there),
		cmocka_unit_test(a_lying_sync_makes_nothing_durable),
		cmocka_unit_test(a_sync_covers_what_had_completed_and_no_more),
		cmocka_unit_test(a_torn_write_has_some_of_its_sectors),
		cmocka_unit_test(large_blocks_are_not_torn),
		cmocka_unit_test(after_a_failed_sync_no_sync_helps),
		cmocka_unit_test(a_length_is_durable_after_a_sync),
		cmocka_unit_test(an_older_write_does_not_come_back),
	};

	return run_program(argc, argv, "sim_crash", tests, array_size(tests));
}
