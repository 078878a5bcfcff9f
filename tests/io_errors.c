// SPDX-License-Identifier: MIT
/*
 * What a device refuses, through the library: a disk with bad blocks, and one
 * that answers late. Needs null_blk and root, so a virtual machine.
 */
#include "device.h"

#define MS 1000000ull
#define BAD (3 * MiB)		/* 4 KiB from here cannot be read or written */

static char disk[32];
static struct pirn_file *file;
static char *buf;

/* After @ns; sectors BAD / 512 and the seven after it are bad. */
static void make_disk(uint64_t ns)
{
	char range[64];

	slow_disk(4, ns, disk);
	snprintf(range, sizeof(range), "+%u-%u", BAD / 512, BAD / 512 + 7);
	write_text("/sys/kernel/config/nullb/nullb4/badblocks", range);
}

static void remove_bad_blocks(void)
{
	char range[64];

	snprintf(range, sizeof(range), "-%u-%u", BAD / 512, BAD / 512 + 7);
	write_text("/sys/kernel/config/nullb/nullb4/badblocks", range);
}

static void take(void)
{
	check_eq(pirn_open(&file, disk, O_RDWR, 0), 0);
	buf = pirn_buf_alloc(4 * MiB);
	check(buf);
}

static void give(void)
{
	check_eq(pirn_close(file), 0);
	check_eq(pirn_buf_free(buf), 0);
}

static int bad_blocks(void *arg)
{
	(void)arg;
	take();
	fill(buf, 64 * KiB, 0, 1);
	check_eq(pirn_pwrite(file, buf, 64 * KiB, BAD - 64 * KiB, 0), 64 * KiB);
	check_eq(pirn_pwrite(file, buf, 64 * KiB, BAD + 4096, 0), 64 * KiB);
	check_eq(pirn_pread(file, buf, 4096, BAD), -EIO);
	check_eq(pirn_pread(file, buf, 512, BAD + 3584), -EIO);
	check_eq(pirn_pread(file, buf, 64 * KiB, BAD - 32 * KiB), -EIO);
	check_eq(pirn_pwrite(file, buf, 4096, BAD, 0), -EIO);
	check_eq(pirn_pwrite(file, buf, 8192, BAD - 4096, 0), -EIO);
	/* in the third of four pieces */
	check_eq(pirn_pread(file, buf, 4 * MiB, BAD - 2 * MiB - 4096), -EIO);
	check_eq(pirn_pwrite(file, buf, 4 * MiB, BAD - 2 * MiB - 4096, 0), -EIO);
	/* those around are as good as before */
	fill(buf, 64 * KiB, 0, 2);
	check_eq(pirn_pwrite(file, buf, 64 * KiB, BAD - 64 * KiB, 0), 64 * KiB);
	memset(buf, 0, 64 * KiB);
	check_eq(pirn_pread(file, buf, 64 * KiB, BAD - 64 * KiB), 64 * KiB);
	check_filled(buf, 64 * KiB, 0, 2);
	/* a write that failed as such is told by the write, not by a sync */
	check_eq(pirn_fsync(file), 0);
	give();
	return 0;
}

TEST(a_bad_block_fails_what_touches_it_and_no_more)
{
	make_disk(1000);
	run_on(NULL, bad_blocks, NULL);
}

static int sync_there(void *arg)
{
	return pirn_fsync(arg);
}

static int latched(void *arg)
{
	struct pirn_file *other;
	int i, result;

	(void)arg;
	take();
	check_eq(pirn_open(&other, disk, O_RDWR, 0), 0);
	check_eq(pirn_pwrite(file, buf, 4096, BAD, PIRN_DSYNC), -EIO);
	remove_bad_blocks();
	for (i = 0; i < 3; i++) {
		check_eq(pirn_fsync(file), -EIO);
		/* what was asked to be durable may be lost, whatever works now */
		check_eq(pirn_pwrite(file, buf, 4096, BAD, PIRN_DSYNC), -EIO);
		check_eq(pirn_pwrite(file, buf, 4096, BAD, 0), 4096);
	}
	check_eq(pirn_call((unsigned int)pirn_core_count() - 1, sync_there, file,
			   &result), 0);
	check_eq(result, -EIO);
	/* it stays with the handle */
	check_eq(pirn_fsync(other), 0);
	check_eq(pirn_close(other), 0);
	give();
	return 0;
}

TEST(an_error_of_durability_stays_with_the_file)
{
	make_disk(1000);
	run_on(NULL, latched, NULL);
}

static int read_slow(void *arg)
{
	unsigned int *done = arg;
	char *mine = pirn_buf_alloc(4096);

	check(mine);
	check_eq(pirn_pread(file, mine, 4096, 0), 4096);
	++*done;
	return 0;
}

/* While reads take their time the core has other things to do, and timers. */
static int others_go_on(void *arg)
{
	struct pirn_fiber *fiber[4];
	unsigned int i, done = 0, naps = 0;

	(void)arg;
	take();
	for (i = 0; i < 4; i++)
		check_eq(pirn_spawn(&fiber[i], read_slow, &done), 0);
	while (!done) {
		check_eq(pirn_sleep(5 * MS), 0);
		naps++;
	}
	/* a core that waited for the read alone could not have napped */
	check_op(naps, >, 1);
	check_eq(pirn_close(file), done < 4 ? -EBUSY : 0);
	for (i = 0; i < 4; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

TEST(a_slow_disk_does_not_stop_the_core)
{
	make_disk(500 * MS);
	run_on(NULL, others_go_on, NULL);
}

static int leave_reads(void *arg)
{
	unsigned int i;

	take();
	for (i = 0; i < 20; i++)
		check_eq(pirn_spawn(NULL, read_slow, arg), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_sleep(1 * MS), 0);
	return 7;
}

/* Memory a device still writes to is not given back. */
TEST(the_end_waits_for_reads_in_flight)
{
	unsigned int i, done = 0;

	make_disk(300 * MS);
	for (i = 0; i < 3; i++)
		check_eq(run_on(NULL, leave_reads, &done), 7);
	/* and none of the fibers ran again */
	check_eq(done, 0);
	if (wanted_backend() == PIRN_BACKEND_KMOD)
		check_eq(ops_in_flight(), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_block_fails_what_touches_it_and_no_more),
		cmocka_unit_test(an_error_of_durability_stays_with_the_file),
		cmocka_unit_test(a_slow_disk_does_not_stop_the_core),
		cmocka_unit_test(the_end_waits_for_reads_in_flight),
	};

	return run_program(argc, argv, "io_errors", tests, array_size(tests));
}
