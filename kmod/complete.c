// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 8, the way back.  The one place where an op ends: its CQE is
 * written and published, or that of its join (join.c) if one is due, the op goes
 * back, the sleeper is woken.  Called by block.c from whatever context the device
 * completes in, by file.c, and by submit.c for what ends before it began.  Hands
 * on to user space, and to wait.c for the wake.
 *
 * Ordering.  What user space sees, with the letters of <linux/pirn.h>; all of
 * the left column runs under the channel's lock:
 *
 *   pirn_complete()                        user space
 *
 *   (A) write CQE at tail                  load cq_tail, acquire    (C)
 *   (B) store cq_tail, release             read CQEs up to it
 *                                          store cq_head, release   (D)
 *   (E) load cq_head, acquire, in pirn_reserve()
 *
 *   (B) pairs with (C): without them a CQE could be read before it was written.
 *   (D) pairs with (E): without them the credit of an entry could be given out,
 *   and the entry written by (A), while it is still being read.  Completion
 *   itself never looks at cq_head: the entry at tail was reserved.
 *
 * Going to sleep needs no barrier of its own.  A waiter looks at the tail and
 * announces itself in one hold of the lock; a completion moves the tail and
 * looks for a waiter in one hold.  Whichever comes second sees the other.
 */
#include "pirn.h"
#include "trace.h"

static __always_inline void pirn_count(struct pirn_channel *ch,
				       const struct pirn_op *op, s32 res)
{
	struct pirn_counters *c = &ch->counters;

	c->completed++;
	if (unlikely(res < 0))
		c->failed++;
	else if (op->code == PIRN_OP_READ)
		c->bytes_read += res;
	else if (op->code == PIRN_OP_WRITE)
		c->bytes_written += res;
	if (raw_smp_processor_id() != ch->cpu)
		c->remote_completions++;
}

/* Field by field: one that is put together first is written twice. */
static __always_inline void pirn_publish(struct pirn_channel *ch, u64 cookie,
					 s32 res, u32 flags, u64 device,
					 u64 published)
{
	u32 tail = ch->cq_tail;
	struct pirn_cqe *cqe = &ch->cq[pirn_ring_slot(tail, ch->cq_entries)];

	cqe->cookie = cookie;					/* (A) */
	cqe->res = res;
	cqe->flags = flags;
	cqe->device = device;
	cqe->published = published;
	ch->cq_tail = ++tail;
	smp_store_release(&ch->header->cq_tail, tail);		/* (B) */
	pirn_wake(ch);
}

/* A member of a join: what there is to publish, if there is, is the join's. */
static void pirn_end_member(struct pirn_channel *ch, struct pirn_op *op, s32 res,
			    u64 device, u64 published)
{
	struct pirn_join *join = op->join;
	u32 flags = pirn_join_end(op, res, device, published);

	if (flags)
		pirn_publish(ch, join->cookie, join->state.succeeded, flags,
			     device, published);
}

/*
 * op, of a channel that is closed, has ended: what it used as the last one goes
 * before what others hang on.  Returns whether it was the last of all.
 */
static noinline bool pirn_end_closed(struct pirn_channel *ch,
				     const struct pirn_op *op)
{
	if (!ch->in_flight)
		return true;
	if (op->target->issued == op->target->done ||
	    (op->slot && op->slot->issued == op->slot->done))
		pirn_channel_queue_drop(ch);
	return false;
}

/* pirn_end() and pirn_end_timed(): most channels need no times. */
static __always_inline void __pirn_end(struct pirn_op *op, s32 res, bool times)
{
	struct pirn_channel *ch = op->channel;
	u64 device = 0, published = 0;
	unsigned long flags;
	bool last = false;

	/* Before the lock, which others wait for: early by that much. */
	if (times) {
		published = pirn_now(ch);
		if (likely(op->began))
			device = published - op->began;
	}
	trace_pirn_complete(op, res, device);

	spin_lock_irqsave(&ch->lock, flags);
	pirn_count(ch, op, res);
	if (times && likely(op->began))
		ch->histogram[pirn_histogram_bucket(device)]++;
	if (likely(!op->join))
		pirn_publish(ch, op->cookie, res, 0, device, published);
	else
		pirn_end_member(ch, op, res, device, published);

	if (likely(op->target)) {
		op->target->done++;
		/* The last touch of the identity: see pirn_ident_update(). */
		smp_store_release(&op->ident->done, op->ident->done + 1);
		if (likely(op->slot))
			op->slot->done++;
	}
	if (!ch->done.head)
		ch->done.tail = op;
	op->next = ch->done.head;
	ch->done.head = op;

	ch->in_flight--;
	if (unlikely(ch->dead))
		last = pirn_end_closed(ch, op);
	spin_unlock_irqrestore(&ch->lock, flags);

	if (last)
		pirn_channel_queue_free(ch);
}

void pirn_end(struct pirn_op *op, s32 res)
{
	__pirn_end(op, res, false);
}

void pirn_end_timed(struct pirn_op *op, s32 res)
{
	__pirn_end(op, res, true);
}

/* pirn_complete() for what its device or file was not given: it has no device time. */
void pirn_refuse(struct pirn_op *op, s32 res)
{
	op->began = 0;
	pirn_complete(op, res);
}
