// SPDX-License-Identifier: MIT
/* pirn bench io: the library's side, a fiber for each read in flight. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pirn/batch.h>

#include "bench_io.h"

struct run {
	struct io_bench *bench;
	struct io_figures *figures;
	struct pirn_file *file;
	struct io_core *cores;	/* one a core of the runtime */
};

static void mark(struct io_core *core)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct io_mark now = { 0 };

	pirn_core_stats(&stats);
	now.enters = stats.enters;
	now.seen = stats.seen_without_enter;
	io_core_mark(core, &now);
}

/* What is done for each read is kept to what any user of the library would do. */
static int read_fiber(void *arg)
{
	struct run *run = arg;
	struct io_core *core = &run->cores[pirn_core()];
	struct pirn_file *file = run->file;
	uint32_t bytes = run->bench->bytes;
	void *buf = pirn_buf_alloc(bytes);
	int err = 0;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while (core->issued < core->limit) {
		core->issued++;
		n = pirn_pread(file, buf, bytes, io_core_offset(core));
		if (__builtin_expect(n != (ssize_t)bytes, 0)) {
			core->limit = 0;
			err = -EIO;
			complain("a read of %u bytes gave %zd: %s", bytes, n,
				 n < 0 ? strerror((int)-n) : "too few");
			break;
		}
		if (++core->done == core->next_mark)
			mark(core);
	}
	pirn_buf_free(buf);
	return err;
}

/* --join: all of them, and then the next. */
static int join_fiber(void *arg)
{
	struct run *run = arg;
	struct io_core *core = &run->cores[pirn_core()];
	uint32_t i, bytes = run->bench->bytes, depth = run->bench->depth;
	struct pirn_io ios[BENCH_JOIN];
	char *buf = pirn_buf_alloc((size_t)bytes * depth);
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (core->issued < core->limit && !err) {
		core->issued += depth;
		for (i = 0; i < depth; i++) {
			ios[i].file = run->file;
			ios[i].buf = buf + (size_t)bytes * i;
			ios[i].bytes = bytes;
			ios[i].offset = io_core_offset(core);
		}
		err = pirn_read_all(ios, depth);
		for (i = 0; i < depth && !err; i++)
			if (++core->done == core->next_mark)
				mark(core);
	}
	if (err) {
		complain("reading %u at once: %s", depth, strerror(-err));
		err = -EIO;
	}
	pirn_buf_free(buf);
	return err;
}

static int core_fiber(void *arg)
{
	struct run *run = arg;

	io_core_start(&run->cores[pirn_core()], run->bench,
		      (unsigned int)pirn_core());
	if (run->bench->bench->io.join)
		return cores_run_fibers(1, join_fiber, run);
	return cores_run_fibers(run->bench->depth, read_fiber, run);
}

static int open_target(struct run *run)
{
	struct io_bench *bench = run->bench;
	int err, flags = PIRN_O_RANDOM;

	if (bench->buffered)
		flags |= PIRN_O_BUFFERED;
	err = pirn_open(&run->file, bench->target, flags, 0);
	if (err == -EOPNOTSUPP && !bench->buffered) {
		bench->buffered = true;
		err = pirn_open(&run->file, bench->target,
				flags | PIRN_O_BUFFERED, 0);
	}
	if (err < 0)
		return open_complain(bench->target, err);
	if (bench->bytes % pirn_block_bytes(run->file)) {
		complain("--bytes=%u is no multiple of %u, the block size of %s",
			 bench->bytes, pirn_block_bytes(run->file), bench->target);
		err = -EINVAL;
		pirn_close(run->file);
	}
	return err;
}

/* The yardstick comes after and uses the same CPUs. */
static int note_runtime(struct io_bench *bench)
{
	unsigned int i;

	bench->used = (enum pirn_backend)pirn_backend_current();
	bench->cpus = (unsigned int)pirn_core_count();
	if (bench->cpu)
		return 0;
	bench->cpu = calloc(bench->cpus, sizeof(bench->cpu[0]));
	if (!bench->cpu)
		return -ENOMEM;
	for (i = 0; i < bench->cpus; i++)
		bench->cpu[i] = pirn_core_cpu(i);
	return 0;
}

static int main_fiber(void *arg)
{
	struct run *run = arg;
	int err = note_runtime(run->bench);

	if (!err)
		err = open_target(run);
	if (err < 0)
		return err;
	run->cores = calloc(run->bench->cpus, sizeof(run->cores[0]));
	err = run->cores ? cores_run(core_fiber, run) : -ENOMEM;
	if (!err)
		io_figures_of(run->cores, run->bench->cpus, run->figures);
	else if (err != -EIO)
		complain("starting the fibers: %s", strerror(-err));
	free(run->cores);
	pirn_close(run->file);
	return err;
}

static size_t pool_bytes(const struct io_bench *bench)
{
	size_t piece = 4096;

	/* A buffer is aligned to its size rounded up to a power of two. */
	while (piece < bench->bytes)
		piece *= 2;
	return 2 * bench->depth * piece + (2u << 20);
}

int io_run_fibers(struct io_bench *bench, struct io_figures *figures)
{
	struct run run = { .bench = bench, .figures = figures };
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.backend = bench->backend;
	opt.io_depth = bench->depth < 2 ? 2 : bench->depth;
	/* A join needs a place of its own. */
	if (bench->bench->io.join)
		opt.io_depth = 2 * bench->depth;
	opt.io_batch = bench->batch;
	opt.pool_bytes = pool_bytes(bench);
	opt.spin_ns = bench->spin_ns;
	opt.flags = bench->bench->io.times ? PIRN_TIMES : 0;
	return bench_run(bench->bench, 0, &opt, main_fiber, &run);
}

static int find_fiber(void *arg)
{
	return note_runtime(arg);
}

int io_find_cpus(struct io_bench *bench)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.backend = bench->backend;
	return bench_run(bench->bench, 0, &opt, find_fiber, bench);
}
