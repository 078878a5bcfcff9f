/* SPDX-License-Identifier: MIT */
/* An IO request between io.c, give.c and the backends. */
#ifndef PIRN_OP_H
#define PIRN_OP_H

#include "helper.h"
#include "lib.h"
#include "schedule.h"

/* ----------------------------------------------------------------- io.c */

/* Those after WRITE move no data. */
enum pirn_op_kind {
	PIRN_IO_READ,
	PIRN_IO_WRITE,
	PIRN_IO_FSYNC,
	PIRN_IO_FDATASYNC,
	PIRN_IO_FALLOCATE,
	PIRN_IO_DISCARD,
	PIRN_IO_KINDS
};

/* Who is told that an op has ended. */
enum pirn_op_ends {
	PIRN_ENDS_FIBER,		/* its fiber, which waits for it alone */
	PIRN_ENDS_GIVE,			/* give.c */
	PIRN_ENDS_BATCH,		/* batch.c */
};

/* The most ops that a backend lets end together. */
#define PIRN_JOIN_OPS	16u

struct pirn_batch;

/*
 * One IO request, on the stack of the fiber that waits for it, in a place of
 * give.c or in a struct pirn_io.
 */
struct pirn_op {
	struct pirn_fiber *fiber;
	struct pirn_op *next;		/* the backend's, while it has the op */
	struct pirn_file *file;
	void *buf;
	uint64_t offset;		/* in the file */
	union {
		uint32_t bytes;
		uint32_t mode;		/* FALLOCATE: FALLOC_FL_* */
	};
	int32_t file_slot;		/* what the backend calls file and pool */
	int32_t pool_slot;
	union {
		uint64_t pool_offset;
		uint64_t range;		/* bytes; FALLOCATE, DISCARD */
	};
	uint8_t kind;
	bool dsync;
	uint8_t ends;			/* enum pirn_op_ends */
	bool refused;			/* it was never issued */
	bool issued;			/* of one given: the backend has it */
	int32_t result;
	struct pirn_batch *batch;	/* with PIRN_ENDS_BATCH */
	uint64_t asked;			/* times.c: when it was queued */
	struct pirn_job job;		/* host_io.c, when a helper thread does it */
};

/* A fiber whose op found no room: in pirn_core.pending, on its stack. */
struct pirn_op_wait {
	struct pirn_wait wait;
	struct pirn_op *op;
	struct pirn_batch *batch;	/* @op is the first of these; or NULL */
};

/* Moves what found no room into the backend's queue, as far as there is. */
void pirn_ops_queue_pending(struct pirn_core *core);
/* Gives an op to the backend; false when there is no room for it now. */
bool pirn_op_queue(struct pirn_core *core, struct pirn_op *op);
/* The same for who has waited in pirn_core.pending, or need not. */
bool pirn_op_queue_now(struct pirn_core *core, struct pirn_op *op);
/*
 * Gives ops to the backend to end together.  Returns how many of them, from the
 * first on, 0 when there is no room now, or -1: not now, give them one by one.
 */
int pirn_op_queue_join(struct pirn_core *core, struct pirn_op **ops,
		       uint32_t nr);
/* Its scope ended before there was room; it is not in pending any more. */
void pirn_op_pending_left(struct pirn_core *core, struct pirn_wait *wait);
/* Submits when a whole batch is queued and there is something else to run. */
void pirn_op_batch(struct pirn_core *core);
/*
 * What the op names, from what the caller gave: file and pool slots, buffer and
 * offset, for all of @bytes.  0, or the negative errno that the caller gets.
 */
int pirn_op_prepare(struct pirn_core *core, struct pirn_op *op, void *buf,
		    size_t bytes, uint64_t offset);
/*
 * Parks until it has ended; its result.  With op->refused it was never issued,
 * because its scope has ended.
 */
int pirn_op_run(struct pirn_core *core, struct pirn_op *op);
int pirn_read_check(struct pirn_core *core, const struct pirn_file *file);
int pirn_write_check(struct pirn_core *core, const struct pirn_file *file);
/* An error of a device, which must not be taken for the end of a scope. */
int pirn_device_error(struct pirn_core *core, int error);
/* What the caller gets for an op that was issued and has failed. */
int pirn_op_error(struct pirn_core *core, struct pirn_op *op);

/* -------------------------------------------------------------- times.c */

int pirn_times_start(struct pirn_core *core);
void pirn_times_stop(struct pirn_core *core);
/*
 * With core->times, one of the two before an op completes: what the backend knows
 * of its time, seen being that of this turn; or that it knows nothing.
 */
void pirn_times_parts(struct pirn_histograms *times, const struct pirn_op *op,
		      uint64_t device, uint64_t published, uint64_t seen);
void pirn_times_all(struct pirn_core *core, const struct pirn_op *op);

/* -------------------------------------------------------------- batch.c */

void pirn_batch_complete(struct pirn_core *core, struct pirn_op *op);
/* Gives as much to the backend as there is room for; true: all of it. */
bool pirn_batch_queue(struct pirn_core *core, struct pirn_batch *batch);

/* --------------------------------------------------------------- give.c */

struct pirn_give;

int pirn_gives_start(struct pirn_core *core);
void pirn_gives_stop(struct pirn_core *core);
void pirn_give_complete(struct pirn_core *core, struct pirn_op *op);

/* -------------------------------------------------------------- inline */

/* pirn_op_complete() for who has seen to the op's times, and counted it. */
static inline void pirn_op_complete_counted(struct pirn_core *core,
					    struct pirn_op *op, int result)
{
	op->result = result;
	if (likely(op->ends == PIRN_ENDS_FIBER))
		pirn_fiber_ready(core, op->fiber);
	else if (op->ends == PIRN_ENDS_BATCH)
		pirn_batch_complete(core, op);
	else
		pirn_give_complete(core, op);
}

/* The backend says that an op has ended. */
static inline void pirn_op_complete(struct pirn_core *core, struct pirn_op *op,
				    int result)
{
	if (unlikely(core->times))
		pirn_times_all(core, op);
	core->in_flight--;
	core->stats.completed++;
	pirn_op_complete_counted(core, op, result);
}

#endif /* PIRN_OP_H */
