/* SPDX-License-Identifier: MIT */
/*
 * pirn bench: what its files share.
 *
 * In file order: bench.c reads the command line and runs the subjects named, one
 * bench_SUBJECT.c each; a subject hands what is to be measured, its yardsticks
 * with it, to bench_measure.c as an array of works, and gets rows;
 * bench_peers.c puts other libraries' figures into the rows; bench_report.c
 * prints them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <time.h>

#include "pirn_cmd.h"

#define BENCH_SAMPLES	55u	/* of one work, at most */
#define BENCH_NONE	(-1)

/* Other libraries, in the order of their columns: bench_peers.c. */
enum bench_peer {
	PEER_BOOST_CONTEXT,
	PEER_BOOST_FIBER,
	PEER_BOOST_ASIO,
	PEER_LIBUV,
	BENCH_PEERS
};

struct bench_spread {
	double least;
	double median;
	double most;
};

/* One line of the result. */
struct bench_row {
	const char *subject;
	char key[32];			/* "SUBJECT/..."; the peers' lines have it */
	char name[64];
	char unit[24];			/* "ns/switch": what is counted, of what */
	unsigned int samples;
	struct bench_spread spread;
	char yardstick[64];		/* its name; "": there is none */
	double yard;			/* its median, in turn with the samples */
	double goal;			/* of the ratio, at most; 0: none stated */
	struct bench_spread peer[BENCH_PEERS];	/* median 0: says nothing */
};

/* The most reads that pirn bench io --join joins. */
#define BENCH_JOIN	64u

/* What pirn bench io takes from the command line. */
struct bench_io_options {
	const char *target;
	uint32_t depth;
	uint32_t batch;
	uint32_t bytes;
	uint64_t ios;
	uint64_t spin_ns;
	bool no_yardstick;
	bool aio_loop;
	bool join;
	bool times;
	bool no_library;		/* for counting what the yardstick takes */
	unsigned int loop_modes;	/* run so many of the yardstick's modes */
};

/* One run of the command. */
struct bench {
	/* asked for */
	const char *cpus;		/* NULL: see bench_cpus() */
	enum pirn_backend backend;
	unsigned int repetitions;	/* 0: as each subject has it */
	bool quick;
	bool instructions;
	bool json;
	bool peers;
	struct bench_io_options io;
	bool misused;			/* it failed, and what was asked for is why */

	/* made */
	const char *subject;		/* the one that runs */
	char subject_cpus[256];		/* the CPUs it runs on */
	struct bench_row *rows;
	unsigned int row_count;
	char **notes;
	unsigned int note_count;
};

/* Each subject: 0, or a negative errno after complaining. */
int bench_switch(struct bench *bench);
int bench_spawn(struct bench *bench);
int bench_call(struct bench *bench);
int bench_post(struct bench *bench);
int bench_wake(struct bench *bench);
int bench_sync(struct bench *bench);
int bench_timer(struct bench *bench);
int bench_io(struct bench *bench);
int bench_sim(struct bench *bench);
int bench_memory(struct bench *bench);

/* ---------------------------------------------------------- bench_measure.c */

/*
 * What is sampled: run() does @rounds rounds and returns the nanoseconds they
 * took, on whichever clock is right for it.  It is called with growing rounds
 * until it takes long enough to be measured.
 */
struct bench_work {
	const char *key;
	const char *name;
	const char *unit;
	uint64_t (*run)(void *arg, uint64_t rounds);
	void *arg;
	double units;			/* in a round */
	/* Works of the same array, or BENCH_NONE; a row for each. */
	int beside[2];
	double goal;			/* of the ratio to the first */
	bool hidden;			/* a yardstick: no row of its own */

	/* bench_measure() */
	uint64_t rounds;
	double samples[BENCH_SAMPLES];
};

enum bench_clock {
	BENCH_ONE_CORE,		/* thread CPU time: what others do is not seen */
	BENCH_TWO_CORES		/* wall time: more and shorter samples, for the median */
};

/*
 * Samples @works in turn, so that all see the same machine, and adds a row for
 * each that is not hidden.  In the fiber, or thread, that the works want.
 */
int bench_measure(struct bench *bench, enum bench_clock clock,
		  struct bench_work *works, unsigned int count);

/* Sorts @samples; @count is at least 1. */
struct bench_spread bench_spread(double *samples, unsigned int count);

/* A row with nothing in it but its names; NULL: no memory, complained. */
struct bench_row *bench_row(struct bench *bench, const char *key,
			    const char *name, const char *unit);
/* What the reader has to know beside the rows. */
int bench_note(struct bench *bench, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Runs fn(arg) on core 0 of a runtime on @cores of the CPUs asked for.  @opt
 * holds the options that matter, else NULL.  0, what fn returned, or the errno
 * of starting, complained.
 */
int bench_run(struct bench *bench, unsigned int cores,
	      const struct pirn_options *opt, int (*fn)(void *arg), void *arg);
/*
 * The CPUs of a subject that wants @cores of them: the first of those asked
 * for, else the one it was started on and the next others.
 */
int bench_cpus(struct bench *bench, unsigned int cores);
/* In a fiber: complains, -EINVAL, unless cores 0 and 1 are on different CPUs. */
int bench_two_cpus(struct bench *bench);

/* Complains, -EIO, unless @counted is what the figures were divided by. */
int bench_counted(const char *what, uint64_t counted, uint64_t expected,
		  uint64_t slack);

static inline uint64_t bench_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------ yardsticks */

/* bench_swap.c: two stacks swap the six callee-saved registers; a switch. */
void bench_swap_start(void);
uint64_t bench_swap_run(void *arg, uint64_t rounds);
#define BENCH_SWAP_WORK { .name = "register swap", .run = bench_swap_run, \
	.units = 2, .beside = { BENCH_NONE, BENCH_NONE }, .hidden = true }

/*
 * bench_pair.c: there(arg, rounds) on core 1's thread, which does nothing else
 * meanwhile, and here(arg, rounds) on this one; returns the wall time of the
 * second.  From a fiber of core 0.
 */
struct bench_pair {
	void (*here)(void *arg, uint64_t rounds);
	void (*there)(void *arg, uint64_t rounds);
	void *arg;
};

/* A work's run(), with a struct bench_pair as its argument. */
uint64_t bench_pair_run(void *pair, uint64_t rounds);
/* A word in each of two cache lines, stored and waited for: a round trip. */
extern struct bench_pair bench_pingpong;
/* The same asleep in futexes. */
extern struct bench_pair bench_futex;

/* ---------------------------------------------------------- bench_peers.c */

/* 0, or one complaint that says how to build what is missing. */
int bench_peers_check(void);
/* Runs what other libraries have of bench->subject, and fills its rows. */
int bench_peers_run(struct bench *bench);
extern const char *const bench_peer_names[BENCH_PEERS];

/* --------------------------------------------------------- bench_report.c */

void bench_report(const struct bench *bench);

#endif /* BENCH_H */
