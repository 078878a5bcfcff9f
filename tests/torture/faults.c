// SPDX-License-Identifier: MIT
/*
 * Disks that fail, change and go away under IO: every op ends, once, and with an
 * errno that says what happened. Each trial sets up a disk, keeps a queue of
 * reads, writes and syncs full, does something to it, and looks at the results;
 * then the disk is whole again and so must be the IO.
 */
#include <linux/fs.h>

#include "load.h"

#define DM "/dev/mapper/torture"
#define SIZE "65536"		/* sectors of the dm disks: 32 MiB */
#define BELOW "/dev/nvme1n1"
#define ERRORS(...) ((const int[]){ __VA_ARGS__ }), array_size(((const int[]){ __VA_ARGS__ }))

static void dm_create(const char *table)
{
	shell("dmsetup create torture --noudevsync --table \"%s\" && dmsetup mknodes torture",
	      table);
}

/* As an administrator does: the old table is drained or fails first. */
static void dm_swap(const char *table, bool flush)
{
	shell("dmsetup suspend --noudevsync %s torture && "
	      "dmsetup load torture --table \"%s\" && dmsetup resume --noudevsync torture",
	      flush ? "" : "--noflush --nolockfs", table);
}

static void dm_remove(void)
{
	shell("dmsetup remove --noudevsync --retry torture");
}

static void check_all(struct load *load, const char *what, const int *errors, unsigned int n)
{
	int op;

	load_drain(load);
	for (op = PIRN_OP_READ; op < PIRN_OP_LAST; op++)
		load_check(load, op, what, errors, n);
}

/* Nothing of what was wrong is left. */
static void check_whole(struct load *load, const char *what)
{
	load_drain(load);
	load_forget(load);
	load_run(load, 50);
	check_all(load, what, NULL, 0);
	check_op(load_ended(load, PIRN_OP_READ, 0), >, 0);
	check_eq(load->cut[PIRN_OP_READ] + load->cut[PIRN_OP_WRITE], 0);
}

/* ------------------------------------------------------------------- trials */

static void errors_in_the_middle(uint64_t seed)
{
	struct load load;

	dm_create("0 4000 linear " BELOW " 0\n4000 4000 error\n8000 57536 linear " BELOW " 8000");
	load_open(&load, DM, seed);
	load.fsync_percent = 0;	/* a flush goes to the broken part too */
	load_run(&load, 300);
	check_all(&load, "dm-error", ERRORS(EIO));
	check_op(load_ended(&load, PIRN_OP_READ, EIO), >, 0);
	check_op(load_ended(&load, PIRN_OP_WRITE, EIO), >, 0);
	check_op(load_ended(&load, PIRN_OP_READ, 0), >, 0);
	dm_swap("0 " SIZE " linear " BELOW " 0", true);
	check_whole(&load, "after dm-error");
	load_close(&load);
	dm_remove();
}

static void a_flaky_disk(uint64_t seed)
{
	struct load load;

	dm_create("0 " SIZE " flakey " BELOW " 0 1 1");
	load_open(&load, DM, seed);
	load_run(&load, 3200);
	check_all(&load, "dm-flakey", ERRORS(EIO));
	check_op(load_ended(&load, PIRN_OP_READ, EIO), >, 0);
	check_op(load_ended(&load, PIRN_OP_READ, 0), >, 0);
	dm_swap("0 " SIZE " flakey " BELOW " 0 0 1 1 error_writes", true);
	load_drain(&load);
	load_forget(&load);
	load_run(&load, 200);
	check_all(&load, "error_writes", ERRORS(EIO));
	check_eq(load_ended(&load, PIRN_OP_READ, EIO), 0);
	check_op(load_ended(&load, PIRN_OP_WRITE, EIO), >, 0);
	check_eq(load_ended(&load, PIRN_OP_WRITE, 0), 0);
	load_close(&load);
	dm_remove();
}

/* dm-delay knows no NOWAIT; the table that takes its place does. */
static void tables_swapped(uint64_t seed)
{
	static const char *const table[] = {
		"0 " SIZE " linear " BELOW " 0", "0 " SIZE " delay " BELOW " 0 5",
		"0 " SIZE " striped 2 8 " BELOW " 0 " BELOW " 65536", "0 " SIZE " error",
	};
	struct rng rng = { seed };
	struct load load;
	unsigned int i;

	dm_create(table[0]);
	load_open(&load, DM, seed);
	for (i = 0; i < 12; i++) {
		load_run(&load, 30);
		dm_swap(table[rng_below(&rng, i % 2 ? 4 : 3)], rng_below(&rng, 2));
	}
	load_run(&load, 30);
	check_all(&load, "tables swapped", ERRORS(EIO));
	dm_swap(table[0], true);
	check_whole(&load, "after swaps");
	load_close(&load);
	dm_remove();
}

/* While a device is suspended nothing ends, and nothing is lost. */
static void suspended(uint64_t seed)
{
	struct load load;

	dm_create("0 " SIZE " linear " BELOW " 0");
	load_open(&load, DM, seed);
	load_run(&load, 30);
	shell("dmsetup suspend --noudevsync torture & sleep 0.2; "
	      "(sleep 0.3; dmsetup resume --noudevsync torture) &");
	load_run(&load, 600);
	check_all(&load, "suspended", NULL, 0);
	check_whole(&load, "resumed");
	load_close(&load);
	dm_remove();
}

static void made_read_only(uint64_t seed)
{
	int fd = must(open(BELOW, O_RDWR | O_CLOEXEC)), i, on;
	struct load load;

	load_open(&load, BELOW, seed);
	for (i = 0; i < 20; i++) {
		on = !(i % 2);
		must(ioctl(fd, BLKROSET, &on));
		load_run(&load, 10);
	}
	check_all(&load, "BLKROSET", ERRORS(EPERM));
	check_op(load_ended(&load, PIRN_OP_WRITE, EPERM), >, 0);
	check_op(load_ended(&load, PIRN_OP_WRITE, 0), >, 0);
	check_eq(load_ended(&load, PIRN_OP_READ, EPERM), 0);
	check_whole(&load, "writable again");
	load_close(&load);
	close(fd);
}

/* Shrunk and grown: what lies past the end now is cut, none or no space. */
static void resized(uint64_t seed)
{
	struct load load;
	int i;

	dm_create("0 " SIZE " linear " BELOW " 0");
	load_open(&load, DM, seed);
	for (i = 0; i < 10; i++) {
		load_run(&load, 30);
		dm_swap(i % 2 ? "0 " SIZE " linear " BELOW " 0" :
				"0 4004 linear " BELOW " 0", i % 3);
	}
	/* between the look at the size and the device: an IO error */
	check_all(&load, "resized", ERRORS(ENOSPC, EIO));
	check_op(load_ended(&load, PIRN_OP_WRITE, ENOSPC), >, 0);
	check_op(load.cut[PIRN_OP_READ], >, 0);
	check_whole(&load, "grown again");
	load_close(&load);
	dm_remove();
}

static void partitions_read_again(uint64_t seed)
{
	int fd = must(open(BELOW, O_RDONLY | O_CLOEXEC)), i;
	struct load load;

	load_open(&load, BELOW, seed);
	for (i = 0; i < 20; i++) {
		/* EBUSY when it is open, by whom does not matter here */
		ioctl(fd, BLKRRPART);
		must(ioctl(fd, BLKFLSBUF));
		load_run(&load, 10);
	}
	check_all(&load, "BLKRRPART", NULL, 0);
	check_whole(&load, "partitions read again");
	load_close(&load);
	close(fd);
}

static char scsi_disk[64];

/* A disk of 64 MiB in memory that fails on demand, in the driver of real ones. */
static void scsi_disk_open(const char *parameters)
{
	int i;

	shell("modprobe scsi_debug dev_size_mb=64 delay=1 %s && modprobe sd_mod", parameters);
	for (i = 0; system("ls /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/"
			   "block >/run/scsi 2>/dev/null && [ -b /dev/$(cat /run/scsi) ]"); i++) {
		check_op(i, <, 200);
		nap_ms(50);
	}
	snprintf(scsi_disk, sizeof(scsi_disk), "/run/scsi-disk");
	shell("ln -sf /dev/$(cat /run/scsi) %s", scsi_disk);
}

static void scsi_disk_close(void)
{
	/* udev or the kernel's own look at partitions may hold it a moment */
	shell("for i in $(seq 50); do rmmod scsi_debug 2>/dev/null && exit 0; sleep 0.1; done; "
	      "exit 1");
}

/* Sectors that cannot be read are told of as that, and only they. */
static void a_bad_medium(uint64_t seed)
{
	struct load load;

	scsi_disk_open("opts=2 medium_error_start=1000 medium_error_count=64");
	load_open(&load, scsi_disk, seed);
	load_run(&load, 1000);
	check_all(&load, "bad medium", ERRORS(ENODATA));
	check_op(load_ended(&load, PIRN_OP_READ, ENODATA), >, 0);
	check_op(load_ended(&load, PIRN_OP_READ, 0), >, 0);
	check_eq(load_ended(&load, PIRN_OP_WRITE, ENODATA), 0);
	write_text("/sys/bus/pseudo/drivers/scsi_debug/opts", "0");
	check_whole(&load, "after bad medium");
	load_close(&load);
	scsi_disk_close();
}

/* Commands that are never answered: aborted by the driver, and done again. */
static void requests_time_out(uint64_t seed)
{
	struct load load;
	uint64_t before;

	scsi_disk_open("");
	shell("echo 1 >/sys/block/$(cat /run/scsi)/device/timeout");
	load_open(&load, scsi_disk, seed);
	write_text("/sys/bus/pseudo/drivers/scsi_debug/every_nth", "200");
	write_text("/sys/bus/pseudo/drivers/scsi_debug/opts", "4");
	before = clock_ns();
	load_run(&load, 3000);
	write_text("/sys/bus/pseudo/drivers/scsi_debug/opts", "0");
	check_all(&load, "timeouts", ERRORS(EIO, ETIMEDOUT));
	/* one at least was not answered */
	shell("[ $(($(cat /sys/block/$(cat /run/scsi)/device/iotmo_cnt))) -gt 0 ]");
	check_op(clock_ns() - before, >, 1000000000u);
	check_whole(&load, "after timeouts");
	load_close(&load);
	scsi_disk_close();
}

/* The disk leaves its slot under IO, and is there again. */
static void unplugged(uint64_t seed)
{
	struct load load;
	int i, fd;

	load_open(&load, BELOW, seed);
	load_run(&load, 50);
	load_submit(&load);
	shell("readlink -f /sys/block/nvme1n1/device/device >/run/slot && "
	      "echo 1 >$(cat /run/slot)/remove");
	load_run(&load, 200);
	/* EIO: gone; ENODEV, EAGAIN: going */
	check_all(&load, "unplugged", ERRORS(EIO, ENODEV, ENOSPC));
	check_op(load_ended(&load, PIRN_OP_READ, 0), >, 0);
	check_op(load_ended(&load, PIRN_OP_READ, EIO) +
		 load_ended(&load, PIRN_OP_READ, ENODEV) + load.cut[PIRN_OP_READ], >, 0);
	/* all that is left says so too */
	load_forget(&load);
	load_run(&load, 30);
	check_all(&load, "gone", ERRORS(EIO, ENODEV, ENOSPC));
	check_eq(load_ended(&load, PIRN_OP_READ, 0), 0);
	check_eq(load_ended(&load, PIRN_OP_WRITE, 0), 0);
	load_close(&load);

	shell("echo 1 >/sys/bus/pci/rescan");
	/* there is a name before there is a disk that can be opened */
	for (i = 0; (fd = open(BELOW, O_RDONLY | O_CLOEXEC)) < 0; i++) {
		check_op(i, <, 200);
		nap_ms(50);
	}
	close(fd);
	load_open(&load, BELOW, seed);
	check_whole(&load, "plugged in again");
	load_close(&load);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(uint64_t seed);
	} trial[] = {
		{ "errors in the middle", errors_in_the_middle },
		{ "a flaky disk", a_flaky_disk },
		{ "tables swapped", tables_swapped },
		{ "suspended", suspended },
		{ "made read-only", made_read_only },
		{ "resized", resized },
		{ "partitions read again", partitions_read_again },
		{ "a bad medium", a_bad_medium },
		{ "requests time out", requests_time_out },
		{ "unplugged", unplugged },
	};
	struct torture t = {
		.name = "faults", .unit = "rounds of all trials", .bound = 20,
		.what = "Disks that fail, change and are unplugged under IO: each op ends "
			"exactly once with an errno that fits. About 6 minutes in an "
			"emulated machine.",
	};
	struct rng rng;
	uint64_t round;
	unsigned int i;

	torture_begin(&t, argc, argv);
	rng.state = t.seed;
	shell("modprobe -a dm_mod dm_flakey dm_delay");
	for (round = 1; round <= t.bound; round++) {
		for (i = 0; i < array_size(trial); i++) {
			if (round == 1)
				printf("faults: %s\n", trial[i].name);
			trial[i].fn(rng_next(&rng));
		}
		check_ops_ended();
		torture_progress(round);
	}
	check_nothing_left();
	printf("faults: %zu kinds, %llu times, each op ended once\n", array_size(trial),
	       (unsigned long long)t.bound);
	return 0;
}
