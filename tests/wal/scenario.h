/* SPDX-License-Identifier: MIT */
/* The example engine under the simulator, one seed at a time. */
#ifndef WAL_SCENARIO_H
#define WAL_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include <pirn/sim.h>

struct scenario_args {
	/*
	 * The set of faults the seed chooses from.  False: those a correct engine
	 * survives; nothing acknowledged is lost.  True: those it can only notice,
	 * too; what is read was committed, and the store is as it was at some
	 * moment, or says that it is not.
	 */
	bool detect;
	bool no_flush;		/* the engine makes nothing durable */
	bool verbose;
};

/* Of all seeds run. */
struct scenario_totals {
	uint64_t seeds, lives, crashes, commits, groups, checkpoints, page_reads;
	uint64_t redone, repairs, failed_open, refused;
};

extern struct scenario_args scenario_args;
extern struct scenario_totals scenario_totals;

/*
 * Runs the seed of @opt, with its faults or, when it names none, the seed's own
 * choice.  False, and a line on stdout: the engine was wrong.
 */
bool scenario_run(const struct pirn_sim_options *opt);

#endif /* WAL_SCENARIO_H */
