// SPDX-License-Identifier: MIT
/*
 * Random reads in the simulator: how many it carries out in a second of real
 * time.  Yardstick: poisoning and copying the same pages, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <pirn/sim.h>

#include "bench.h"

#define DISK_BYTES	(16ull << 20)
#define READ_BYTES	4096u
#define PAGES		(DISK_BYTES / READ_BYTES)
#define FIBERS		32u

struct load {
	struct pirn_sim *sim;
	struct pirn_file *file;
	uint64_t left;			/* reads, of a sample */
	int err;
};

static int reader(void *arg)
{
	struct load *load = arg;
	char *buf = pirn_buf_alloc(READ_BYTES);
	uint64_t page;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while (load->left) {
		load->left--;
		page = pirn_random() % PAGES;
		n = pirn_pread(load->file, buf, READ_BYTES, page * READ_BYTES);
		if (n != READ_BYTES || buf[0] != (char)page ||
		    buf[READ_BYTES - 1] != (char)page)
			return n < 0 ? (int)n : -EIO;
	}
	return pirn_buf_free(buf);
}

/* Each page holds its own number: a read that moved nothing is seen. */
static int fill_disk(struct pirn_file *file)
{
	char *buf = pirn_buf_alloc(READ_BYTES);
	uint64_t page;
	ssize_t n = 0;

	if (!buf)
		return -ENOMEM;
	for (page = 0; page < PAGES && n >= 0; page++) {
		memset(buf, (int)page, READ_BYTES);
		n = pirn_pwrite(file, buf, READ_BYTES, page * READ_BYTES, 0);
	}
	return n < 0 ? (int)n : pirn_buf_free(buf);
}

static int fill_fiber(void *arg)
{
	struct load *load = arg;
	int err = pirn_open(&load->file, "disk", O_RDWR, 0);

	return err ? err : fill_disk(load->file);
}

static int read_fiber(void *arg)
{
	struct load *load = arg;
	int err = pirn_open(&load->file, "disk", O_RDONLY, 0);

	return err ? err : cores_run_fibers(FIBERS, reader, load);
}

/* One life of the node. */
static int live(struct load *load, int (*fn)(void *arg))
{
	int result = 0;
	int err = pirn_sim_start(load->sim, 0, NULL, fn, load);

	if (!err)
		err = pirn_sim_run(load->sim, PIRN_NEVER);
	if (!err)
		err = pirn_sim_result(load->sim, 0, &result);
	if (err)
		complain("simulated reads: %s", pirn_sim_message(load->sim));
	else if (result)
		complain("simulated reads: %s", strerror(-result));
	return err ? err : result;
}

static uint64_t read_run(void *arg, uint64_t rounds)
{
	struct load *load = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	load->left = rounds;
	if (!load->err)
		load->err = live(load, read_fiber);
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static uint64_t copy_run(void *arg, uint64_t rounds)
{
	static char from[DISK_BYTES], to[READ_BYTES];
	uint64_t start, *state = arg;

	if (!from[0])
		memset(from, 1, sizeof(from));
	start = bench_clock(CLOCK_THREAD_CPUTIME_ID);
	while (rounds--) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		memset(to, 0xa5, sizeof(to));
		__asm__ volatile("" : : "r"(to) : "memory");
		memcpy(to, from + (*state >> 32) % PAGES * READ_BYTES,
		       sizeof(to));
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
}

static int measure(struct bench *bench, struct load *load)
{
	uint64_t state = 1;
	struct bench_work works[] = {
		{ .key = "sim/read", .name = "read of 4 KiB in the simulator",
		  .unit = "ns/read", .run = read_run, .arg = load, .units = 1,
		  .beside = { 1, BENCH_NONE } },
		{ .name = "fill and copy a page", .run = copy_run,
		  .arg = &state, .units = 1,
		  .beside = { BENCH_NONE, BENCH_NONE }, .hidden = true },
	};
	int err = bench_measure(bench, BENCH_ONE_CORE, works, 2);

	if (err || load->err)
		return err ? err : load->err;
	return bench_note(bench, "%.0f simulated reads a second, by %u fibers of one core",
			  1e9 / bench->rows[bench->row_count - 1].spread.median,
			  FIBERS);
}

int bench_sim(struct bench *bench)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	struct load load = { 0 };
	char why[256] = "";
	int err;

	opt.cores = 1;
	opt.limit_events = UINT64_MAX;
	opt.limit_ns = INT64_MAX;
	err = pirn_sim_create(&load.sim, &opt, why, sizeof(why));
	if (err) {
		complain("%s", why[0] ? why : strerror(-err));
		return err;
	}
	err = pirn_sim_disk(load.sim, 0, "disk", DISK_BYTES, READ_BYTES);
	if (!err)
		err = live(&load, fill_fiber);
	if (!err)
		err = measure(bench, &load);
	pirn_sim_destroy(load.sim);
	return err;
}
