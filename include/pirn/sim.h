/* SPDX-License-Identifier: MIT */
/*
 * The simulator: cores, clock and disks of one or several runtimes in one
 * thread, in virtual time, from one seed.  The same seed, options and program
 * give the same run to the byte, on any machine and in any build.
 *
 * The short way needs nothing from here.  A program that calls pirn_run() with
 * the backend auto or sim runs in a world of one node when PIRN_SIM is in the
 * environment, and "pirn sim" runs it once for each of many seeds.
 *
 * The long way is a scenario: pirn_sim_create(), pirn_sim_start() for each node,
 * pirn_sim_run(), pirn_sim_crash(), start again, look.  A node is a runtime with
 * disks of its own, which outlive it; nodes share nothing but time.
 *
 * Rules for the whole header
 *
 *   A world belongs to the thread that made it.  Calls are made outside fibers,
 *   except where "from a fiber too" stands; none parks.
 *   Times are virtual nanoseconds; a world begins at 1,000,000,000.
 *   Nothing real leaks in: a program that reads another clock, starts threads,
 *   waits for one, or orders by address is as repeatable as that is.
 *   Files are in memory.  Directories need not be made: every name has one.
 */
#ifndef PIRN_SIM_H
#define PIRN_SIM_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pirn_sim;

/* ---------------------------------------------------------------- faults */

/*
 * What can go wrong.  Off by default; a rate is how many of a million
 * opportunities are taken.  In brackets the rate that a name alone stands for
 * in PIRN_SIM and on the command line of "pirn sim".
 */
enum pirn_sim_fault {
	/* An op fails with -EIO.  Of a failed write any part may be written. */
	PIRN_SIM_EIO_READ,	/* eio_read [1,000]; a read */
	PIRN_SIM_EIO_WRITE,	/* eio_write [1,000]; a write, of zeros too; a discard */
	/*
	 * eio_fsync [10,000]; a sync.  Of what it would have made durable each
	 * write is durable or never will be, whatever later syncs say.
	 */
	PIRN_SIM_EIO_FSYNC,
	/*
	 * What a crash does to writes that are not durable.  A crash is one
	 * opportunity; without lost and reorder all writes that reached the disk
	 * are there afterwards, as when only the process died.
	 */
	PIRN_SIM_LOST,		/* lost [1,000,000]; from some write on, all */
	PIRN_SIM_REORDER,	/* reorder [1,000,000]; any of them */
	/*
	 * torn [500,000]; of a write that was not durable any of its sectors
	 * (blocks of its file; 512 bytes of a buffered one).  An opportunity is
	 * a write under way; with lost the last one kept; with reorder any.
	 */
	PIRN_SIM_TORN,
	/*
	 * names [500,000]; a name made, renamed or unlinked, whose directory was
	 * not synced since, is after a crash as before; an opportunity is one.
	 */
	PIRN_SIM_NAMES,
	PIRN_SIM_MISDIRECTED,	/* misdirected [1,000]; a write, elsewhere in the file */
	/* latent [1,000]; of a write one sector is -EIO to read till rewritten */
	PIRN_SIM_LATENT,
	PIRN_SIM_LYING_FLUSH,	/* lying_flush [100,000]; a sync that does nothing */
	PIRN_SIM_ENOSPC,	/* enospc [1,000]; a write that makes a file longer, an allocation */
	PIRN_SIM_SLOW,		/* slow [10,000]; an op takes up to slow_ns longer */
	PIRN_SIM_HANG,		/* hang [100]; at an op the node's disks stop for hang_ns */
	PIRN_SIM_STUCK,		/* stuck [1,000]; a core gets no turn for stuck_ns */
	PIRN_SIM_FAULTS		/* how many there are */
};

/* "torn" and the like; NULL for a number that is none.  Anywhere. */
PIRN_API const char *pirn_sim_fault_name(enum pirn_sim_fault fault);

struct pirn_sim_rate {
	uint32_t rate;		/* of a million opportunities, to 1,000,000: 0 */
	uint32_t most;		/* only so many in all; 0: no bound */
};

/* --------------------------------------------------------------- options */

/*
 * Set size with PIRN_SIM_OPTIONS_INIT; a zero field means its default.  The word
 * in brackets is the field's name in PIRN_SIM, which is a list as in
 * "seed=7,cores=3,faults=torn+eio_read:500+lost:1000000:2": a fault is
 * NAME[:RATE[:MOST]].
 */
struct pirn_sim_options {
	size_t size;
	uint64_t seed;		/* [seed] any: 0 */
	/*
	 * [cores] of a runtime whose options name no CPUs, 1 to 1024: 4.  CPUs
	 * that are named need not exist.
	 */
	uint32_t cores;
	uint32_t block_bytes;	/* [block] of files, 512 or 4096: 512 */
	/* Bounds; the run ends with -ETIMEDOUT at either. */
	uint64_t limit_ns;	/* [time] virtual, from the world's begin: 1 hour */
	uint64_t limit_events;	/* [events] 100,000,000 */
	/* What a turn takes, from and to, 1 to 10^9: 200 and 2,000 ns. */
	uint64_t turn_min_ns;	/* [turn_min] */
	uint64_t turn_max_ns;	/* [turn_max] */
	/* How long a sleeping core takes to wake, 1 to 10^9: 500, 20,000 ns. */
	uint64_t wake_min_ns;	/* [wake_min] */
	uint64_t wake_max_ns;	/* [wake_max] */
	uint64_t clock_ns;	/* [clock] by which each reading moves it, to 10^9: 25 */
	/*
	 * What an op takes: the first, and beyond it exponentially distributed
	 * with the second as mean; 1 to 10^12: 10,000 and 50,000 ns.
	 */
	uint64_t io_min_ns;	/* [io_min] */
	uint64_t io_mean_ns;	/* [io_mean] */
	uint64_t slow_ns;	/* [slow] at most, 1 to 10^15: 50 ms */
	uint64_t hang_ns;	/* [hang] 1 to 10^15: 1 s */
	uint64_t stuck_ns;	/* [stuck] 1 to 10^15: 100 ms */
	/*
	 * [switches] of fibers in a turn at most, 1 to 64: 64; the seed chooses
	 * from 1 up.
	 */
	uint32_t switches;
	/*
	 * [shuffle] turns of a million that change the order of runnable
	 * fibers, to 1,000,000: 500,000; PIRN_SIM_NO_SHUFFLE for none.  Fibers
	 * that waited for the same thing keep theirs, and one that yielded stays
	 * behind those it yielded to.
	 */
	uint32_t shuffle;
	/*
	 * [cache] bytes of writes a node's disks hold that are not durable, 4 KiB
	 * up: 64 MiB; beyond that the oldest become durable by themselves.
	 */
	uint64_t cache_bytes;
	/*
	 * [import=1] a file that is not in the world is taken from the host when
	 * it is there: read when needed, never written.  Its content is then
	 * part of what the run depends on.
	 */
	uint32_t import;
	uint32_t reserved;
	char log[256];		/* [log] a file for the log, a line an event */
	char report[256];	/* [report] for "pirn sim": see lib/sim_log.c */
	struct pirn_sim_rate fault[32];	/* [faults] by enum pirn_sim_fault */
};

#define PIRN_SIM_OPTIONS_INIT { .size = sizeof(struct pirn_sim_options) }
#define PIRN_SIM_NO_SHUFFLE UINT32_MAX

/*
 * Sets what PIRN_SIM names, leaves the rest.  0; -ENOENT: it is not set, or this
 * is a set-user-id program; -EINVAL and one line in @why.  Anywhere.
 */
PIRN_API int pirn_sim_options_env(struct pirn_sim_options *opt, char *why,
				  size_t why_bytes);

/* The same from @text: "" sets nothing. */
PIRN_API int pirn_sim_options_parse(struct pirn_sim_options *opt,
				    const char *text, char *why,
				    size_t why_bytes);

/* --------------------------------------------------------------- a world */

/*
 * @opt may be NULL.  -EINVAL: an option is out of range; -ENOMEM; others from
 * opening the log.  One line of why in @why (may be NULL).
 */
PIRN_API int pirn_sim_create(struct pirn_sim **sim,
			     const struct pirn_sim_options *opt, char *why,
			     size_t why_bytes);

/*
 * Drops every node: fibers that are not at their end never run again, and
 * memory that the program got elsewhere remains its own.  NULL is ignored.
 */
PIRN_API void pirn_sim_destroy(struct pirn_sim *sim);

/*
 * Makes a block device, full of zeros, that pirn_open() finds at @path on
 * @node, 0 to 63.  @block_bytes 512 or 4096, @bytes a multiple of it, to 16 TiB.
 * -EEXIST, -EINVAL, -ENOMEM.
 */
PIRN_API int pirn_sim_disk(struct pirn_sim *sim, unsigned int node,
			   const char *path, uint64_t bytes,
			   uint32_t block_bytes);

/*
 * Starts a runtime as @node, 0 to 63: as pirn_run(), but fn(arg) begins in the
 * next pirn_sim_run().  A number used again after an end or a crash has the
 * disks as that left them.  The backend in @opt (may be NULL) is ignored.
 * -EBUSY: the node runs; errors of pirn_run(), with pirn_sim_message().
 */
PIRN_API int pirn_sim_start(struct pirn_sim *sim, unsigned int node,
			    const struct pirn_options *opt,
			    int (*fn)(void *arg), void *arg);

/* What pirn_sim_run() ended with, when it is no error. */
#define PIRN_SIM_ENDED		0	/* no node runs */
#define PIRN_SIM_TIME		1	/* it is @until */
#define PIRN_SIM_CRASHED	2	/* a fiber called pirn_sim_crash() */

/*
 * Lets all nodes run until the time @until (PIRN_NEVER: no bound), or until no
 * node runs; in any case but the last it may be called again.
 * -EDEADLK: nothing can ever happen again, and pirn_sim_message() names each
 * parked fiber; -ETIMEDOUT: a limit of the options.
 */
PIRN_API int pirn_sim_run(struct pirn_sim *sim, uint64_t until);

/*
 * What fn of @node returned.  -EAGAIN: the node runs; -ECANCELED: it crashed;
 * -ENOENT: it was never started.
 */
PIRN_API int pirn_sim_result(struct pirn_sim *sim, unsigned int node,
			     int *result);

/*
 * Power off: the node's fibers never run again, its ops under way are cut off,
 * its disks hold what was durable and of the rest what the faults leave.  On a
 * node that does not run only the last.  From a fiber too: its node then ends
 * when the fiber parks, and no other fiber of it runs before.
 * -EINVAL: no such node.
 */
PIRN_API int pirn_sim_crash(struct pirn_sim *sim, unsigned int node);

/* The time, not moved by asking.  From a fiber too, as all below. */
PIRN_API uint64_t pirn_sim_now(const struct pirn_sim *sim);

/* 64 random bits of the scenario's own sequence. */
PIRN_API uint64_t pirn_sim_random(struct pirn_sim *sim);

/*
 * 64 bits over every event up to now: times, choices, ops with the content of
 * writes, results, lines of pirn_sim_log().
 */
PIRN_API uint64_t pirn_sim_hash(const struct pirn_sim *sim);

/* Puts a line into the log and the hash. */
PIRN_API void pirn_sim_log(struct pirn_sim *sim, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Why the last call failed, of several lines for -EDEADLK; "" when none did. */
PIRN_API const char *pirn_sim_message(const struct pirn_sim *sim);

struct pirn_sim_counts {
	size_t size;		/* set by the caller */
	uint64_t events;
	uint64_t turns;
	uint64_t reads;		/* completed */
	uint64_t writes;
	uint64_t syncs;
	uint64_t crashes;
	uint64_t unsynced;	/* bytes not durable now, of all nodes */
	uint64_t injected[32];	/* by enum pirn_sim_fault */
};

/* -EINVAL: size. */
PIRN_API int pirn_sim_counts(const struct pirn_sim *sim,
			     struct pirn_sim_counts *counts);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_SIM_H */
