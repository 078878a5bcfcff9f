/* SPDX-License-Identifier: MIT */
/*
 * Helper threads: what would block a core is done by a few threads of the
 * runtime, while the fiber that wants it parks.
 */
#ifndef PIRN_HELPER_H
#define PIRN_HELPER_H

#include "lib.h"

#define PIRN_MAX_HELPERS	256u

/* What a helper thread does for a parked fiber, on whose stack it lies. */
struct pirn_job {
	struct pirn_foreign done;
	struct pirn_core *core;
	struct pirn_fiber *fiber;
	void (*work)(struct pirn_job *job);
	void (*ended)(struct pirn_core *core, struct pirn_job *job);
};

/* Why a core hands something away; each is counted in pirn_core_stats. */
enum pirn_help {
	PIRN_HELP_OPEN,
	PIRN_HELP_NAME,
	PIRN_HELP_TRUNCATE,
	PIRN_HELP_SYNC,
	PIRN_HELP_BUFFERED,
	PIRN_HELP_WOULD_BLOCK,
	PIRN_HELP_SPACE,
};

/* Jobs on their way to the threads, first in first out; zeroed is empty. */
struct pirn_jobs {
	struct pirn_foreign *first;
	struct pirn_foreign *last;
	uint32_t count;
};

/*
 * The threads of a runtime on a real kernel, before its cores start and after
 * they have ended.  They have the CPUs and the credentials of the caller, and
 * every signal blocked.
 */
int pirn_helpers_start(struct pirn_runtime *rt, char *why, size_t why_bytes);
void pirn_helpers_stop(struct pirn_runtime *rt);

/*
 * job->work runs on a helper thread, job->ended then in the reactor of @core,
 * where it must not park.  Adds to @jobs, which pirn_helpers_give() hands over
 * and empties: one lock for all of them.  A runtime that ends waits until every
 * job->work has run; job->ended does then not.
 */
void pirn_job_add(struct pirn_core *core, struct pirn_jobs *jobs,
		  struct pirn_job *job, enum pirn_help why);
void pirn_helpers_give(struct pirn_core *core, struct pirn_jobs *jobs);

/* Parks the current fiber until a helper thread has done job->work. */
void pirn_job_run(struct pirn_core *core, struct pirn_job *job,
		  enum pirn_help why);

struct pirn_op;

/* ------------------------------------------------------------- host_io.c */

/* Adds an op that the backend's queue has taken, and gives its end to io.c. */
void pirn_host_io_help(struct pirn_core *core, struct pirn_jobs *jobs,
		       struct pirn_op *op);

#endif /* PIRN_HELPER_H */
