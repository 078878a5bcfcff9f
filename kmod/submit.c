// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 6.  Consumes SQEs: takes an op for each, copies the SQE into it
 * once, validates the copy, and hands the op to block.c or file.c.  Called by
 * enter.c in the submitter with as many credits as there may be SQEs.  An SQE that
 * cannot be done completes right here, through complete.c like every other.
 */
#include <linux/nospec.h>
#include <linux/sched/signal.h>

#include "pirn.h"
#include "trace.h"

/* BLK_MAX_REQUEST_COUNT, which the block layer keeps to itself. */
#define PIRN_PLUG_REQUESTS	32u

/*
 * Takes back what has completed.  Never in vain: each op is in free, in done or
 * in flight; in_flight counts the latter and the credits still in hand, of
 * which the caller has one, and is at most the number of ops.
 */
static noinline void pirn_op_refill(struct pirn_channel *ch)
{
	spin_lock_irq(&ch->lock);
	ch->free = ch->done.head;
	ch->done.head = NULL;
	spin_unlock_irq(&ch->lock);
}

static struct pirn_op *pirn_op_get(struct pirn_channel *ch)
{
	struct pirn_op *op;

	if (unlikely(!ch->free))
		pirn_op_refill(ch);
	op = ch->free;
	ch->free = op->next;
	return op;
}

/* Undoes the op of an SQE that is left in the queue. */
static void pirn_op_unget(struct pirn_op *op)
{
	struct pirn_channel *ch = op->channel;

	op->target->issued--;
	op->ident->issued--;
	if (op->slot)
		op->slot->issued--;
	op->next = ch->free;
	ch->free = op;
}

/* Pairs with the release in pirn_target_commit(). */
static struct pirn_target *pirn_target_find(struct pirn_channel *ch, u32 index)
{
	if (unlikely(index >= PIRN_MAX_TARGETS))
		return NULL;
	index = array_index_nospec(index, PIRN_MAX_TARGETS);
	return READ_ONCE(ch->targets[index]);
}

/* Pairs with the release in pirn_slot_commit(). */
static struct pirn_pool_slot *pirn_slot_find(struct pirn_channel *ch, u32 index)
{
	if (unlikely(index >= PIRN_MAX_POOLS))
		return NULL;
	index = array_index_nospec(index, PIRN_MAX_POOLS);
	return READ_ONCE(ch->slots[index]);
}

/*
 * Copies the SQE into op and finds what it names.  User space can write the
 * SQE all the while, so each field is read once and only the copy is believed.
 *
 * Returns 0, or the negative errno the op completes with.
 */
static int pirn_op_read(struct pirn_op *op, const struct pirn_sqe *sqe)
{
	struct pirn_channel *ch = op->channel;
	struct pirn_pool_slot *slot = NULL;
	struct pirn_target *target;
	u32 target_index = READ_ONCE(sqe->target);
	u32 slot_index = READ_ONCE(sqe->pool);
	u64 resv = READ_ONCE(sqe->resv0) | READ_ONCE(sqe->resv1[0]) |
		   READ_ONCE(sqe->resv1[1]) |
		   READ_ONCE(sqe->resv1[2]);

	op->target = NULL;
	op->slot = NULL;
	op->nowait = false;
	op->written = false;
	op->code = READ_ONCE(sqe->op);
	op->cookie = READ_ONCE(sqe->cookie);
	op->offset = READ_ONCE(sqe->offset);
	op->pool_offset = READ_ONCE(sqe->pool_offset);
	op->len = READ_ONCE(sqe->len);
	op->sqe_flags = READ_ONCE(sqe->flags);
	op->threshold = READ_ONCE(sqe->threshold);

	if (unlikely(resv || (op->threshold && op->code != PIRN_OP_JOIN &&
			      op->code != PIRN_OP_FALLOCATE)))
		return -EINVAL;
	switch (op->code) {
	case PIRN_OP_READ:
		if (unlikely(op->sqe_flags & ~PIRN_SQE_NOMERGE))
			return -EINVAL;
		break;
	case PIRN_OP_WRITE:
		if (unlikely(op->sqe_flags &
			     ~(PIRN_SQE_NOMERGE | PIRN_SQE_DSYNC |
			       PIRN_SQE_ATOMIC)))
			return -EINVAL;
		break;
	case PIRN_OP_FALLOCATE:
	case PIRN_OP_DISCARD:
		if (op->sqe_flags || slot_index || op->len)
			return -EINVAL;
		break;
	case PIRN_OP_JOIN:
		if (op->sqe_flags || target_index || slot_index ||
		    op->pool_offset || op->join)
			return -EINVAL;
		return 0;
	case PIRN_OP_NOP:
		if (target_index)
			return -EINVAL;
		fallthrough;
	case PIRN_OP_FSYNC:
	case PIRN_OP_FDATASYNC:
		if (op->sqe_flags || slot_index || op->offset ||
		    op->pool_offset || op->len)
			return -EINVAL;
		if (op->code == PIRN_OP_NOP)
			return 0;
		break;
	default:
		return -EINVAL;
	}

	target = pirn_target_find(ch, target_index);
	if (unlikely(!target))
		return -EBADF;
	if (likely(pirn_op_moves_data(op))) {
		slot = pirn_slot_find(ch, slot_index);
		if (unlikely(!slot))
			return -ENXIO;
		slot->issued++;
	}
	target->issued++;
	ch->ident->issued++;
	op->target = target;
	op->slot = slot;
	op->ident = ch->ident;
	return 0;
}

/*
 * The op's device has no room.  When everything of ours in flight is on that
 * same device, a CQE of it tells user space to come again, and the order of the
 * queue is kept.  Else the worker waits for room in our place: nothing might
 * come, or from another device only, and what is queued behind for that one
 * must not wait for this.
 */
static noinline bool pirn_only_target_busy(struct pirn_op *op)
{
	struct pirn_channel *ch = op->channel;
	u32 own, all;

	spin_lock_irq(&ch->lock);
	own = op->target->issued - op->target->done - 1;
	all = ch->in_flight - ch->join_entries - ch->credits;
	spin_unlock_irq(&ch->lock);
	return own && own == all;
}

/* Where op will end: in the slot of a join's member, or in the CQ. */
static void pirn_op_place(struct pirn_channel *ch, struct pirn_op *op)
{
	op->began = ch->began;
	op->join = ch->joining;
	if (likely(!op->join))
		return;
	op->result = ch->next_result++;
	WRITE_ONCE(ch->results[op->result].flags, 0);
	if (!--ch->members_left)
		ch->joining = NULL;
}

/* At the first bio of a batch the block layer takes requests for all: not for a JOIN. */
static void pirn_plug_one_less(void)
{
	if (current->plug && current->plug->nr_ios > 1)
		current->plug->nr_ios--;
}

/* A JOIN: as pirn_submit_one(). */
static bool pirn_submit_join(struct pirn_op *op, u32 asked)
{
	struct pirn_channel *ch = op->channel;
	int err = pirn_join_open(op, asked);

	if (err && err != -EAGAIN) {
		pirn_complete(op, err);
		return true;
	}
	op->next = ch->free;
	ch->free = op;
	if (!err)
		pirn_plug_one_less();
	return !err;
}

/*
 * Consumes the next SQE, the first of asked.  A credit for it is in hand.  Returns
 * false when it has to stay in the queue, which no member of a join does.
 */
static bool pirn_submit_one(struct pirn_channel *ch, u32 asked)
{
	u32 slot = pirn_ring_slot(ch->sq_head, ch->sq_entries);
	struct pirn_op *op = pirn_op_get(ch);
	int err;

	pirn_op_place(ch, op);
	err = pirn_op_read(op, &ch->sq[slot]);
	if (unlikely(op->join && fatal_signal_pending(current)))
		err = err ?: -EINTR;
	trace_pirn_submit(op, err);
	if (unlikely(err || op->code == PIRN_OP_NOP)) {
		pirn_complete(op, err);
		return true;
	}
	if (unlikely(op->code == PIRN_OP_JOIN))
		return pirn_submit_join(op, asked);
	if (unlikely(!op->target->bdev)) {
		pirn_file_issue(op);
		return true;
	}
	if (likely(pirn_block_issue(op)))
		return true;

	if (!op->join && pirn_only_target_busy(op)) {
		pirn_op_unget(op);
		return false;
	}
	pirn_punt_submitted(op);
	return true;
}

static void pirn_plug(struct blk_plug *plug, u32 nr)
{
	blk_start_plug(plug);
	plug->nr_ios = min(nr, PIRN_PLUG_REQUESTS);
}

/*
 * Consumes up to asked SQEs, as far as the credits in hand go, and never a part of
 * a join.  May block in the block layer.  Returns how many.
 */
u32 pirn_submit(struct pirn_channel *ch, u32 asked)
{
	u32 nr = min(asked, ch->credits);
	bool batch = nr > 1;
	struct blk_plug plug;
	u32 used = 0;

	if (unlikely(ch->times))
		ch->began = pirn_now(ch);
	if (batch)
		pirn_plug(&plug, nr);
	while (used < asked && ch->credits &&
	       pirn_submit_one(ch, asked - used)) {
		ch->credits--;
		ch->sq_head++;
		used++;
		if (fatal_signal_pending(current) && !ch->joining)
			break;
		/* What is plugged goes out before somebody else's turn. */
		if (unlikely(need_resched()) && used < nr) {
			blk_finish_plug(&plug);
			cond_resched();
			pirn_plug(&plug, nr - used);
		}
	}
	if (batch)
		blk_finish_plug(&plug);
	WRITE_ONCE(ch->header->sq_head, ch->sq_head);
	return used;
}
