/* SPDX-License-Identifier: MIT */
/* pirn bench io: what its files share. */
#ifndef BENCH_IO_H
#define BENCH_IO_H

#include "bench.h"

/* What is measured, the same for both sides. */
struct io_bench {
	struct bench *bench;
	const char *target;
	enum pirn_backend backend;
	uint32_t depth;		/* reads in flight on a core */
	uint32_t batch;
	uint32_t bytes;		/* of one read */
	uint64_t ios;		/* measured on each core, after the warm-up */
	uint64_t spin_ns;	/* of an idle core of the library */
	bool instructions;

	/* found */
	int scratch_fd;		/* of a file made for this; -1: none was */
	char *scratch;		/* a path to it */
	bool buffered;		/* no direct IO on the target */
	uint64_t blocks;	/* of @bytes that the target holds */
	char scheduler[64];	/* of the target's queue; "" for a file */
	enum pirn_backend used;
	unsigned int cpus;	/* cores */
	int *cpu;		/* the CPU of each */
};

/* The clocks and counters of one core at one moment. */
struct io_mark {
	uint64_t wall;		/* ns */
	uint64_t cpu;		/* ns of this thread */
	uint64_t idle;		/* ns; this and the next only with --instructions */
	uint64_t sleeps;	/* of this thread: times it gave up its CPU */
	uint64_t enters;
	uint64_t seen;		/* completions seen without an enter */
};

/*
 * One core's part of a run.  Reads are kept at full depth from the first to the
 * last mark: the warm-up comes before, and draining after.
 */
struct io_core {
	const struct io_bench *bench;
	uint64_t random;
	uint64_t issued;
	uint64_t limit;		/* issue no more */
	uint64_t done;
	uint64_t next_mark;	/* when so many are done */
	struct io_mark from;
	struct io_mark to;
};

/* Of one side in one run, over all cores, per IO. */
struct io_figures {
	double wall;		/* ns */
	double cpu;		/* ns */
	double busy;		/* ns without idle: instructions under icount */
	double sleeps;
	double enters;
	double seen;
};

/* Anything but zero does as the seed; each core's is its own. */
static inline void io_core_start(struct io_core *core,
				 const struct io_bench *bench, unsigned int index)
{
	uint64_t warm = bench->ios / 20;

	*core = (struct io_core) {
		.bench = bench,
		.random = 0x9e3779b97f4a7c15ull * (index + 1),
		.next_mark = warm > bench->depth ? warm : bench->depth,
	};
	core->limit = core->next_mark + bench->ios + bench->depth;
}

/* The next offset: xorshift64, and a multiplication for the range. */
static inline uint64_t io_core_offset(struct io_core *core)
{
	uint64_t x = core->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	core->random = x;
	return (uint64_t)((unsigned __int128)x * core->bench->blocks >> 64) *
	       core->bench->bytes;
}

/*
 * At next_mark: fills from, then to.  @now has enters and seen.  What taking a
 * mark costs lies outside of what is measured.
 */
void io_core_mark(struct io_core *core, struct io_mark *now);
void io_figures_of(const struct io_core *cores, unsigned int count,
		   struct io_figures *figures);

/* ns the only CPU was idle since boot; < 0: not known, complained. */
int64_t io_idle_ns(void);

/* bench_io_fibers.c: the library.  0, or complained. */
int io_run_fibers(struct io_bench *bench, struct io_figures *figures);
/* Only finds the CPUs that it would run on, for the yardstick. */
int io_find_cpus(struct io_bench *bench);

/*
 * bench_loop.c: bare loops, on the CPUs the library ran on.  Those of io_uring
 * are the yardstick.
 */
enum io_loop {
	IO_LOOP_DEFER,		/* io_uring: SINGLE_ISSUER, DEFER_TASKRUN */
	IO_LOOP_COOP,		/* io_uring: SINGLE_ISSUER, COOP_TASKRUN */
	IO_LOOP_AIO,		/* linux-aio */
	IO_LOOPS
};

/* 0; -EINVAL: this kernel has no such loop; other errnos: complained. */
int io_run_loop(const struct io_bench *bench, enum io_loop loop,
		struct io_figures *figures);

/* bench_io_target.c: fills what is found of the target; 0, or complained. */
int io_target_open(struct io_bench *bench);
void io_target_close(struct io_bench *bench);

/* bench_io_report.c: the rows.  0, or complained. */
struct io_results {
	unsigned int repetitions;
	bool has_fibers;
	struct io_figures fibers[BENCH_SAMPLES];
	struct io_figures loop[IO_LOOPS][BENCH_SAMPLES];
	bool has_loop[IO_LOOPS];
};

int io_report(const struct io_bench *bench, const struct io_results *results);

#endif /* BENCH_IO_H */
