// SPDX-License-Identifier: MIT
/*
 * pirn bench io: its rows, a figure each.  Each is beside the better of the
 * yardstick's modes at that figure.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "bench_io.h"

static const char *const loop_names[IO_LOOPS] = {
	[IO_LOOP_DEFER] = "bare loop, defer_taskrun",
	[IO_LOOP_COOP] = "bare loop, coop_taskrun",
	[IO_LOOP_AIO] = "linux-aio loop",
};

struct figure {
	const char *key;
	const char *name;
	const char *unit;
	size_t offset;
	bool instructions;	/* only with --instructions */
	bool one_side;		/* the yardstick has no such figure */
	double goal;		/* on io_uring */
};

#define FIGURE(field) offsetof(struct io_figures, field)

static const struct figure figures[] = {
	{ .key = "io/cpu", .name = "CPU time", .unit = "ns/read",
	  .offset = FIGURE(cpu), .goal = 1.05 },
	{ .key = "io/wall", .name = "time", .unit = "ns/read",
	  .offset = FIGURE(wall) },
	{ .key = "io/instructions", .name = "instructions", .unit = "per read",
	  .offset = FIGURE(busy), .instructions = true },
	{ .key = "io/sleeps", .name = "sleeps", .unit = "per read",
	  .offset = FIGURE(sleeps), .instructions = true },
	{ .key = "io/enters", .name = "system calls", .unit = "per read",
	  .offset = FIGURE(enters) },
	{ .key = "io/seen", .name = "seen without one", .unit = "per read",
	  .offset = FIGURE(seen), .one_side = true },
};

static struct bench_spread spread(const struct io_figures *all,
				  unsigned int count, size_t offset)
{
	double samples[BENCH_SAMPLES];

	for (unsigned int i = 0; i < count; i++)
		samples[i] = *(const double *)((const char *)&all[i] + offset);
	return bench_spread(samples, count);
}

/* The yardstick's mode with the least median; IO_LOOPS: none ran. */
static int best_loop(const struct io_results *results,
		     const struct figure *figure, struct bench_spread *best)
{
	int which = IO_LOOPS;

	for (int loop = 0; loop < IO_LOOP_AIO; loop++) {
		struct bench_spread s;

		if (!results->has_loop[loop])
			continue;
		s = spread(results->loop[loop], results->repetitions,
			   figure->offset);
		if (which != IO_LOOPS && s.median >= best->median)
			continue;
		which = loop;
		*best = s;
	}
	return which;
}

static int add(const struct io_bench *bench, const struct io_results *results,
	       const struct figure *figure)
{
	struct bench_spread best;
	struct bench_row *row;
	int loop = best_loop(results, figure, &best);
	const char *who = pirn_backend_name(bench->used);
	char name[64];

	if (!results->has_fibers && loop == IO_LOOPS)
		return 0;
	if (!results->has_fibers)
		who = loop_names[loop];
	snprintf(name, sizeof(name), "read, %s: %s", who, figure->name);
	row = bench_row(bench->bench, figure->key, name, figure->unit);
	if (!row)
		return -ENOMEM;
	row->samples = results->repetitions;
	if (!results->has_fibers) {
		row->spread = best;
		return 0;
	}
	row->spread = spread(results->fibers, results->repetitions,
			     figure->offset);
	if (figure->one_side || loop == IO_LOOPS)
		return 0;
	snprintf(row->yardstick, sizeof(row->yardstick), "%s", loop_names[loop]);
	row->yard = best.median;
	if (bench->used == PIRN_BACKEND_URING)
		row->goal = figure->goal;
	return 0;
}

/* A row of its own, beside the yardstick. */
static int add_aio(const struct io_bench *bench,
		   const struct io_results *results, const struct figure *figure)
{
	struct bench_spread best;
	struct bench_row *row;
	int loop = best_loop(results, figure, &best);
	char key[32], name[64];

	snprintf(key, sizeof(key), "%s/aio", figure->key);
	snprintf(name, sizeof(name), "%s: %s", loop_names[IO_LOOP_AIO],
		 figure->name);
	row = bench_row(bench->bench, key, name, figure->unit);
	if (!row)
		return -ENOMEM;
	row->samples = results->repetitions;
	row->spread = spread(results->loop[IO_LOOP_AIO], results->repetitions,
			     figure->offset);
	if (loop == IO_LOOPS)
		return 0;
	snprintf(row->yardstick, sizeof(row->yardstick), "%s", loop_names[loop]);
	row->yard = best.median;
	return 0;
}

static int describe(const struct io_bench *bench)
{
	return bench_note(bench->bench,
			  "read: %llu random reads of %u bytes a sample on each core, %s %u, batch %u, %s%s%s%s%s",
			  (unsigned long long)bench->ios, bench->bytes,
			  bench->bench->io.join ? "joins of" : "depth",
			  bench->depth, bench->batch,
			  bench->scratch ? "a new file" : bench->target,
			  bench->buffered ? ", not direct" : "",
			  bench->scheduler[0] ? ", scheduler " : "",
			  bench->scheduler,
			  bench->bench->io.times ? ", with times" : "");
}

int io_report(const struct io_bench *bench, const struct io_results *results)
{
	int err = describe(bench);

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]) && !err; i++) {
		if (figures[i].instructions && !bench->instructions)
			continue;
		err = add(bench, results, &figures[i]);
		if (!err && results->has_loop[IO_LOOP_AIO] && !figures[i].one_side)
			err = add_aio(bench, results, &figures[i]);
	}
	return err;
}
