// SPDX-License-Identifier: MIT
/*
 * pirn_read_all(), pirn_write_all(): many ops for which a fiber parks once.
 *
 * Each op lies in its struct pirn_io and goes the way of any other; what is
 * different is its end, which only counts, until the last one makes the fiber
 * runnable.  A backend that can let several ops end together is given them
 * together (queue_join of backend.h): then there is one completion to wake for.
 */
#include <pirn/batch.h>

#include "backend.h"
#include "lib.h"
#include "schedule.h"
#include "wait.h"

struct pirn_batch {
	struct pirn_op_wait wait;	/* in pirn_core.pending, when there is no room */
	struct pirn_io *ios;
	uint32_t nr;
	uint32_t at;			/* the first one the backend has not got */
	uint32_t left;			/* ops that have not ended */
};

_Static_assert(sizeof(struct pirn_op) <=
	       sizeof(((struct pirn_io *)0)->reserved), "room for an op");

static struct pirn_op *op_of(struct pirn_io *io)
{
	return (struct pirn_op *)io->reserved;
}

void pirn_batch_complete(struct pirn_core *core, struct pirn_op *op)
{
	if (!--op->batch->left)
		pirn_fiber_ready(core, op->fiber);
}

/* The next ops for the backend, at most PIRN_JOIN_OPS.  Returns how many. */
static uint32_t gather(const struct pirn_batch *batch, struct pirn_op **ops)
{
	uint32_t nr = 0;

	for (uint32_t i = batch->at; i < batch->nr && nr < PIRN_JOIN_OPS; i++)
		if (batch->ios[i].bytes)
			ops[nr++] = op_of(&batch->ios[i]);
	return nr;
}

/* The backend has what comes before @op, and @op. */
static void issued(struct pirn_batch *batch, const struct pirn_op *op)
{
	while (op_of(&batch->ios[batch->at]) != op)
		batch->at++;
	batch->at++;
	/* Not to be ended early any more. */
	op->fiber->wait = NULL;
}

bool pirn_batch_queue(struct pirn_core *core, struct pirn_batch *batch)
{
	struct pirn_op *ops[PIRN_JOIN_OPS];
	uint32_t nr;

	while ((nr = gather(batch, ops))) {
		int took = nr > 1 ? pirn_op_queue_join(core, ops, nr) : -1;

		if (took > 0) {
			issued(batch, ops[took - 1]);
			continue;
		}
		if (!took || !pirn_op_queue_now(core, ops[0]))
			return false;
		issued(batch, ops[0]);
	}
	return true;
}

/* Parks until all have ended; 0, or why nothing was issued. */
static int run(struct pirn_core *core, struct pirn_batch *batch,
	       struct pirn_op *first)
{
	struct pirn_op_wait *w = &batch->wait;
	struct pirn_fiber *self = core->current;
	int err = self->scope ? pirn_wait_refused(self) : 0;

	if (err)
		return err;
	self->op = first;
	if (core->pending.first || !pirn_batch_queue(core, batch)) {
		*w = (struct pirn_op_wait) {
			.op = first, .batch = batch,
			.wait = { .fiber = self, .left = pirn_op_pending_left },
		};
		pirn_waiters_add(&core->pending, &w->wait);
		if (!batch->at) {
			self->wait = &w->wait;
			self->doing = "IO that waits for room (io_depth)";
		}
	}
	pirn_op_batch(core);
	pirn_fiber_stop(core);
	self->op = NULL;
	return first->refused ? first->result : 0;
}

/* Fills the op of one; 0, or what is wrong with it. */
static int prepare(struct pirn_core *core, struct pirn_batch *batch,
		   struct pirn_io *io, enum pirn_op_kind kind, bool dsync)
{
	struct pirn_op *op = op_of(io);
	int err;

	err = kind == PIRN_IO_READ ? pirn_read_check(core, io->file) :
				     pirn_write_check(core, io->file);
	if (err)
		return err;
	if (io->bytes > PIRN_MAX_IO)
		return pirn_fail(core, -EINVAL,
				 "%zu bytes are more than %u in one of a batch",
				 io->bytes, PIRN_MAX_IO);
	op->kind = kind;
	op->dsync = dsync;
	op->ends = PIRN_ENDS_BATCH;
	op->refused = false;
	op->batch = batch;
	op->fiber = core->current;
	op->file = io->file;
	return pirn_op_prepare(core, op, io->buf, io->bytes, io->offset);
}

/* The rest of a transfer that the device cut short, with calls of its own. */
static ssize_t finish(struct pirn_io *io, ssize_t done, const struct pirn_op *op)
{
	char *buf = (char *)io->buf + done;
	size_t bytes = io->bytes - (size_t)done;
	uint64_t offset = io->offset + (uint64_t)done;
	ssize_t more;

	if (op->kind == PIRN_IO_WRITE)
		more = pirn_pwrite(io->file, buf, bytes, offset,
				   op->dsync ? PIRN_DSYNC : 0);
	else
		more = pirn_pread(io->file, buf, bytes, offset);
	return more < 0 ? more : done + more;
}

/* An op that has ended; what its caller gets. */
static ssize_t settle(struct pirn_core *core, struct pirn_io *io)
{
	struct pirn_op *op = op_of(io);
	ssize_t n = op->result;

	if (likely((size_t)n == io->bytes))
		return n;
	if (n < 0)
		return pirn_op_error(core, op);
	if (op->kind == PIRN_IO_READ &&
	    (!n || n & (io->file->block_bytes - 1)))
		return n;
	return finish(io, n, op);
}

/* Those that were prepared will not be issued. */
static void release(const struct pirn_core *core, const struct pirn_io *ios,
		    unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (ios[i].bytes)
			ios[i].file->on[core->index].busy--;
}

static int prepare_all(struct pirn_core *core, struct pirn_batch *batch,
		       enum pirn_op_kind kind, bool dsync,
		       struct pirn_op **first)
{
	struct pirn_io *ios = batch->ios;

	for (unsigned int i = 0; i < batch->nr; i++) {
		int err = prepare(core, batch, &ios[i], kind, dsync);

		if (unlikely(err)) {
			release(core, ios, i);
			return err;
		}
		if (unlikely(!ios[i].bytes))
			continue;
		ios[i].file->on[core->index].busy++;
		if (!batch->left++)
			*first = op_of(&ios[i]);
	}
	return 0;
}

static int run_all(struct pirn_io *ios, unsigned int nr, enum pirn_op_kind kind,
		   bool dsync)
{
	struct pirn_core *core = pirn_this();
	struct pirn_batch batch = { .ios = ios, .nr = nr };
	struct pirn_op *first = NULL;
	int err;

	err = prepare_all(core, &batch, kind, dsync, &first);
	if (err)
		return err;
	if (first)
		err = run(core, &batch, first);
	if (unlikely(err)) {
		release(core, ios, nr);
		return pirn_fail_plain(core, err);
	}
	for (unsigned int i = 0; i < nr; i++) {
		ios[i].result = 0;
		if (unlikely(!ios[i].bytes))
			continue;
		ios[i].file->on[core->index].busy--;
		ios[i].result = settle(core, &ios[i]);
		if (unlikely(ios[i].result < 0) && !err)
			err = (int)ios[i].result;
	}
	return err;
}

/* ---------------------------------------------------------------- public */

int pirn_read_all(struct pirn_io *ios, unsigned int nr)
{
	if (!pirn_this())
		return -EPERM;
	return run_all(ios, nr, PIRN_IO_READ, false);
}

int pirn_write_all(struct pirn_io *ios, unsigned int nr, unsigned int flags)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (flags & ~PIRN_DSYNC)
		return pirn_fail(core, -EINVAL,
				 "pirn_write_all: flags 0x%x are not known",
				 flags);
	return run_all(ios, nr, PIRN_IO_WRITE, flags & PIRN_DSYNC);
}
