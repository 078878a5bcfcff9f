// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 8, the way back.  The one place where an op ends: its CQE is
 * written and published, or that of its join (join.c) if one is due, the op goes
 * back, the sleeper is woken.  Called by
 * block.c from whatever context the device completes in, by worker.c, and by
 * submit.c for what ends before it began.  Hands on to user space, and to
 * wait.c for the wake.
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

static void pirn_count(struct pirn_channel *ch, const struct pirn_op *op,
		       const struct pirn_cqe *cqe)
{
	struct pirn_counters *c = &ch->counters;
	s32 res = cqe->res;

	c->completed++;
	if (unlikely(res < 0))
		c->failed++;
	else if (op->code == PIRN_OP_READ)
		c->bytes_read += res;
	else if (op->code == PIRN_OP_WRITE)
		c->bytes_written += res;
	if (raw_smp_processor_id() != ch->cpu)
		c->remote_completions++;
	if (unlikely(ch->histogram) && op->target)
		ch->histogram[pirn_histogram_bucket(cqe->device)]++;
}

static void pirn_publish(struct pirn_channel *ch, const struct pirn_cqe *cqe)
{
	ch->cq[pirn_ring_slot(ch->cq_tail, ch->cq_entries)] = *cqe; /* (A) */
	ch->cq_tail++;
	smp_store_release(&ch->header->cq_tail, ch->cq_tail);	/* (B) */
	pirn_wake(ch);
}

static void pirn_time(const struct pirn_op *op, struct pirn_cqe *cqe)
{
	cqe->published = pirn_now(op->channel);
	if (op->target)
		cqe->device = cqe->published - op->began;
}

/*
 * Ends op with res: bytes, 0 or a negative errno.  Any context.  The op is no
 * longer the caller's, and the channel may be gone.
 */
void pirn_complete(struct pirn_op *op, s32 res)
{
	struct pirn_cqe cqe = { .cookie = op->cookie, .res = res };
	struct pirn_channel *ch = op->channel;
	unsigned long flags;
	bool last;

	/* Before the lock, which others wait for: early by that much. */
	if (unlikely(ch->times))
		pirn_time(op, &cqe);
	trace_pirn_complete(op, &cqe);

	spin_lock_irqsave(&ch->lock, flags);
	pirn_count(ch, op, &cqe);
	if (likely(!op->join) || pirn_join_end(op, &cqe))
		pirn_publish(ch, &cqe);

	if (likely(op->target)) {
		op->target->done++;
		/* The last touch of the identity: see pirn_ident_replace(). */
		WRITE_ONCE(op->ident->done, op->ident->done + 1);
		if (likely(op->slot))
			op->slot->done++;
	}
	if (!ch->done.head)
		ch->done.tail = op;
	op->next = ch->done.head;
	ch->done.head = op;

	last = !--ch->in_flight && unlikely(ch->dead);
	spin_unlock_irqrestore(&ch->lock, flags);

	if (last)
		pirn_channel_queue_free(ch);
}
