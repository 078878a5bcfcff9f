// SPDX-License-Identifier: MIT
/*
 * pirn bench io: random reads through the library and, in turn with it, through
 * a bare io_uring loop.
 *
 * In file order: bench_io.c runs both sides in turn; bench_io_target.c finds out
 * about what is read; bench_io_fibers.c is the library's side; bench_loop.c runs
 * bench_uring_loop.c, the yardstick, and bench_aio_loop.c; bench_io_report.c makes
 * the rows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench_io.h"

#define REPETITIONS	11
#define QUICK_IOS	200

/* --------------------------------------------------------------- marking */

#define TIMER_LIST "/proc/timer_list"
#define IDLE_MODULE "/sys/module/pirn_idle/parameters/ns"

/* From tests/vm/idle.c, where it is loaded; < 0: it is not. */
static int64_t module_idle_ns(void)
{
	FILE *file = fopen(IDLE_MODULE, "re");
	long long ns = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%lld", &ns) != 1)
		ns = -1;
	fclose(file);
	return ns;
}

/*
 * The kernel adds to one of two when the CPU leaves idle, interrupts taken there
 * left out: to iowait_sleeptime when a task that waits for IO said so, as
 * io_uring's do.  Exact for a program that runs now.  Linux 7.3 has neither.
 */
int64_t io_idle_ns(void)
{
	int64_t known = module_idle_ns();
	FILE *file;
	unsigned long long ns, sum = 0;
	unsigned int found = 0;
	char line[256];

	if (known >= 0)
		return known;
	file = fopen(TIMER_LIST, "re");
	if (!file) {
		complain("%s: %s; --instructions takes the idle time from there",
			 TIMER_LIST, strerror(errno));
		return -1;
	}
	while (found < 2 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " .idle_sleeptime : %llu nsecs", &ns) != 1 &&
		    sscanf(line, " .iowait_sleeptime: %llu nsecs", &ns) != 1)
			continue;
		sum += ns;
		found++;
	}
	fclose(file);
	if (found < 2)
		complain("%s has no idle_sleeptime and iowait_sleeptime, and the module of tests/vm/idle.c is not loaded; --instructions needs either",
			 TIMER_LIST);
	return found < 2 ? -1 : (int64_t)sum;
}

static void take_clocks(struct io_mark *mark)
{
	mark->cpu = bench_clock(CLOCK_THREAD_CPUTIME_ID);
	mark->wall = bench_clock(CLOCK_MONOTONIC);
}

/* These take long: before the start, after the end. */
static void take_counts(struct io_mark *mark)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_THREAD, &usage);
	mark->sleeps = (uint64_t)usage.ru_nvcsw;
	mark->idle = (uint64_t)io_idle_ns();
}

void io_core_mark(struct io_core *core, struct io_mark *now)
{
	bool first = core->from.wall == 0;

	if (!first)
		take_clocks(now);
	if (core->bench->instructions)
		take_counts(now);
	if (first)
		take_clocks(now);
	*(first ? &core->from : &core->to) = *now;
	core->next_mark += core->bench->ios;
}

/* Cores run side by side: their rates add up. */
void io_figures_of(const struct io_core *cores, unsigned int count,
		   struct io_figures *figures)
{
	double rate = 0, ios = 0;
	unsigned int i;

	*figures = (struct io_figures){ 0 };
	for (i = 0; i < count; i++) {
		const struct io_mark *from = &cores[i].from, *to = &cores[i].to;
		double n = (double)cores[i].bench->ios;
		double wall = (double)(to->wall - from->wall);

		ios += n;
		rate += n / wall;
		figures->cpu += (double)(to->cpu - from->cpu);
		figures->busy += wall - (double)(to->idle - from->idle);
		figures->sleeps += (double)(to->sleeps - from->sleeps);
		figures->enters += (double)(to->enters - from->enters);
		figures->seen += (double)(to->seen - from->seen);
	}
	figures->wall = 1 / rate;
	figures->cpu /= ios;
	figures->busy /= ios;
	figures->sleeps /= ios;
	figures->enters /= ios;
	figures->seen /= ios;
}

/* --------------------------------------------------------------- running */

static int run_loop(const struct io_bench *bench, struct io_results *results,
		    unsigned int repetition, enum io_loop loop)
{
	int err = io_run_loop(bench, loop, &results->loop[loop][repetition]);

	results->has_loop[loop] = err == 0;
	return err == -EINVAL ? 0 : err;
}

static int run_loops(const struct io_bench *bench, struct io_results *results,
		     unsigned int repetition)
{
	unsigned int left = bench->bench->io.loop_modes;
	enum io_loop loop;
	int err = 0;

	for (loop = 0; loop < IO_LOOP_AIO && left && !err; loop++) {
		err = run_loop(bench, results, repetition, loop);
		left -= results->has_loop[loop];
	}
	if (!err && bench->bench->io.aio_loop)
		err = run_loop(bench, results, repetition, IO_LOOP_AIO);
	return err;
}

/* The library and the loops in turn, on the CPUs the library found. */
static int run(struct io_bench *bench, struct io_results *results)
{
	const struct bench *all = bench->bench;
	unsigned int i;
	int err = 0;

	if (all->io.no_library)
		err = io_find_cpus(bench);
	for (i = 0; i < results->repetitions && !err; i++) {
		if (!all->io.no_library)
			err = io_run_fibers(bench, &results->fibers[i]);
		if (!err && !all->io.no_yardstick)
			err = run_loops(bench, results, i);
	}
	results->has_fibers = !all->io.no_library;
	return err;
}

static int check_instructions(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) != 1) {
		complain("--instructions needs a machine with one CPU online, as under tests/vm/run --icount");
		return -EINVAL;
	}
	return io_idle_ns() < 0 ? -EIO : 0;
}

static unsigned int repetitions_of(const struct bench *bench)
{
	if (bench->repetitions)
		return bench->repetitions;
	return bench->quick ? 1 : REPETITIONS;
}

int bench_io(struct bench *bench)
{
	struct io_bench io = {
		.bench = bench,
		.target = bench->io.target,
		.backend = bench->backend,
		.depth = bench->io.depth,
		.batch = bench->io.batch,
		.bytes = bench->io.bytes,
		.ios = bench->quick ? QUICK_IOS : bench->io.ios,
		.spin_ns = bench->io.spin_ns,
		.instructions = bench->instructions,
	};
	struct io_results *results = calloc(1, sizeof(*results));
	int err;

	if (!results)
		return -ENOMEM;
	results->repetitions = repetitions_of(bench);
	err = io_target_open(&io);
	if (!err && io.instructions)
		err = check_instructions();
	if (!err)
		err = run(&io, results);
	if (!err)
		err = io_report(&io, results);
	io_target_close(&io);
	free(io.cpu);
	free(results);
	return err;
}
