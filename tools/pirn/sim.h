/* SPDX-License-Identifier: MIT */
/* pirn sim: what its files share. */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <sys/types.h>

#include <pirn/sim.h>

#include "pirn_cmd.h"

struct sim_job {
	char **argv;			/* the program and its arguments */
	uint64_t seeds;
	uint64_t first;
	unsigned int jobs;
	unsigned int seconds;		/* a run may take */
	const char *base;		/* PIRN_SIM as it was, or "" */
	const char *log;		/* FILE, or NULL */
	struct pirn_sim_options options;	/* base and --faults */
	char dir[64];			/* for files of ours */
};

/* How a run of the program ended. */
struct sim_outcome {
	int status;			/* as of waitpid() */
	bool hung;			/* it was killed at its time */
	uint64_t worlds;
	uint64_t hash;
	uint64_t before;
	uint64_t events;
	uint64_t injected[PIRN_SIM_FAULTS];
};

static inline bool sim_failed(const struct sim_outcome *outcome)
{
	return outcome->hung || outcome->status;
}

/* The same way of failing. */
static inline bool sim_same_end(const struct sim_outcome *a,
				const struct sim_outcome *b)
{
	return a->hung == b->hung && (a->hung || a->status == b->status);
}

/* sim_run.c */

/* "exit status 3", "signal 6 (Aborted)", "killed after 60 s"; static. */
const char *sim_end_text(const struct sim_job *job,
			 const struct sim_outcome *outcome);
/* "torn:500000:3+lost", "" for none; @text holds 1024 bytes. */
void sim_faults_text(const struct pirn_sim_rate *fault, char *text);
/* "report", "log" and the like: a file in job->dir; static. */
const char *sim_path(const struct sim_job *job, const char *name);
/* One run with @fault; its log and output go to sim_path() "log", "output". */
int sim_run_one(struct sim_job *job, uint64_t seed,
		const struct pirn_sim_rate *fault, bool log,
		struct sim_outcome *outcome);
/*
 * Every seed, job->jobs at a time.  1 and the least failing seed, 0, or a
 * negative errno.
 */
int sim_run_all(struct sim_job *job, uint64_t *seed,
		struct sim_outcome *outcome);

/* sim_shrink.c */

/* Makes @fault less while the program still fails as it did in @outcome. */
int sim_shrink(struct sim_job *job, uint64_t seed,
	       const struct sim_outcome *outcome, struct pirn_sim_rate *fault);

#endif /* SIM_H */
