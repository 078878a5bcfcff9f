// SPDX-License-Identifier: MIT
/*
 * pirn sim: fewer faults.  Each kind is left out, then allowed only so often,
 * and stays so when the program still fails as it did.  Each kind has a random
 * sequence of its own, so that the others happen much as before.
 */
#include <string.h>

#include "sim.h"

/* 1 when the program fails as before with @fault, which *now then describes. */
static int still(struct sim_job *job, uint64_t seed,
		 const struct sim_outcome *before,
		 const struct pirn_sim_rate *fault, struct sim_outcome *now)
{
	int err = sim_run_one(job, seed, fault, false, now);

	return err ? err : sim_failed(now) && sim_same_end(now, before);
}

/* The least bound found by halving that still fails. */
static int shrink_count(struct sim_job *job, uint64_t seed,
			const struct sim_outcome *before,
			struct pirn_sim_rate *fault, int kind, uint64_t high)
{
	uint64_t low = 1;

	while (low <= high) {
		uint32_t was = fault[kind].most;
		uint64_t middle = low + (high - low) / 2;
		struct sim_outcome now;
		int err;

		fault[kind].most = (uint32_t)middle;
		err = still(job, seed, before, fault, &now);
		if (err < 0)
			return err;
		if (err) {
			high = middle - 1;
		} else {
			fault[kind].most = was;
			low = middle + 1;
		}
	}
	return 0;
}

/* Leaves out each kind that it can; how many, and the last failure in *last. */
static int shrink_kinds(struct sim_job *job, uint64_t seed,
			const struct sim_outcome *outcome,
			struct pirn_sim_rate *fault, struct sim_outcome *last)
{
	struct sim_outcome now;
	int i, err, fewer = 0;

	for (i = 0; i < PIRN_SIM_FAULTS; i++) {
		struct pirn_sim_rate was = fault[i];

		if (!was.rate)
			continue;
		fault[i] = (struct pirn_sim_rate){ 0, 0 };
		err = still(job, seed, outcome, fault, &now);
		if (err < 0)
			return err;
		if (err)
			*last = now;
		else
			fault[i] = was;
		fewer += err;
	}
	return fewer;
}

int sim_shrink(struct sim_job *job, uint64_t seed,
	       const struct sim_outcome *outcome, struct pirn_sim_rate *fault)
{
	struct sim_outcome last = *outcome;
	int i, err;

	/* Once more: what was needed beside one that went may not be alone. */
	do
		err = shrink_kinds(job, seed, outcome, fault, &last);
	while (err > 0);
	if (err)
		return err;
	for (i = 0; i < PIRN_SIM_FAULTS; i++) {
		if (!fault[i].rate)
			continue;
		err = shrink_count(job, seed, outcome, fault, i,
				   last.injected[i]);
		if (err)
			return err;
	}
	return 0;
}
