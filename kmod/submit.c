// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 6.  Consumes SQEs: takes an op for each, copies the SQE into it
 * once, validates the copy, and hands the op to block.c or file.c.  Called by
 * enter.c in the submitter with as many credits as there may be SQEs.  An SQE that
 * cannot be done completes right here, through complete.c like every other.
 */
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/thread_info.h>

#include "block.h"

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
 * Copies the SQE into op.  User space can write the SQE all the while, so each part
 * of it is read once and only the copy is believed.  Returns what must be zero.
 */
static __always_inline u64 pirn_op_copy(struct pirn_op *op,
					const struct pirn_sqe *sqe)
{
	static_assert(offsetof(struct pirn_op, mode) -
		      offsetof(struct pirn_op, head) ==
		      offsetof(struct pirn_sqe, mode));
	static_assert(offsetof(struct pirn_op, slot_index) -
		      offsetof(struct pirn_op, head) ==
		      offsetof(struct pirn_sqe, pool));

	op->head = READ_ONCE(*(const u64 *)sqe);
	op->cookie = READ_ONCE(sqe->cookie);
	op->offset = READ_ONCE(sqe->offset);
	op->pool_offset = READ_ONCE(sqe->pool_offset);
	op->len_threshold = READ_ONCE(*(const u64 *)&sqe->len);
	op->nowait = false;
	return READ_ONCE(sqe->resv1[0]) | READ_ONCE(sqe->resv1[1]) |
	       READ_ONCE(sqe->resv1[2]);
}

/* The first eight bytes of an SQE. */
union pirn_sqe_head {
	struct pirn_sqe	sqe;
	u64		word;
};

/* Whether a copied head is that of a READ which says only what it may. */
static __always_inline bool pirn_head_is_read(u64 head)
{
	const union pirn_sqe_head read = { .sqe = { .op = PIRN_OP_READ } };
	const union pirn_sqe_head looked_at = {
		.sqe = {
			.op	= U8_MAX,
			.resv0	= U8_MAX,
			.flags	= (u16)~PIRN_SQE_NOMERGE,
		},
	};

	return (head & looked_at.word) == read.word;
}

/* Whether an op that is no READ, which is looked at already, says only what it may. */
static bool pirn_op_valid(const struct pirn_op *op, u64 resv)
{
	if (resv || op->resv0)
		return false;
	if (op->threshold && op->code != PIRN_OP_JOIN &&
	    op->code != PIRN_OP_FALLOCATE)
		return false;
	switch (op->code) {
	case PIRN_OP_WRITE:
		return !(op->sqe_flags & ~(PIRN_SQE_NOMERGE | PIRN_SQE_DSYNC |
					   PIRN_SQE_ATOMIC));
	case PIRN_OP_FALLOCATE:
	case PIRN_OP_DISCARD:
		return !(op->sqe_flags || op->slot_index || op->len);
	case PIRN_OP_JOIN:
		return !(op->sqe_flags || op->target_index || op->slot_index ||
			 op->pool_offset || op->join);
	case PIRN_OP_NOP:
		if (op->target_index)
			return false;
		fallthrough;
	case PIRN_OP_FSYNC:
	case PIRN_OP_FDATASYNC:
		return !(op->sqe_flags || op->slot_index || op->offset ||
			 op->pool_offset || op->len);
	default:
		return false;
	}
}

/*
 * Finds what op names, with a slot if it moves data.  Returns 0, or the negative
 * errno the op completes with, and then it has no target.
 */
static __always_inline int pirn_op_find(struct pirn_op *op, bool moves_data)
{
	struct pirn_channel *ch = op->channel;
	struct pirn_pool_slot *slot = NULL;
	struct pirn_target *target = pirn_target_find(ch, op->target_index);

	op->target = target;
	if (unlikely(!target))
		return -EBADF;
	if (moves_data) {
		slot = pirn_slot_find(ch, op->slot_index);
		if (unlikely(!slot)) {
			op->target = NULL;
			return -ENXIO;
		}
		slot->issued++;
	}
	op->slot = slot;
	target->issued++;
	op->ident = ch->ident;
	op->ident->issued++;
	return 0;
}

/* pirn_op_read() of what is no READ, or a wrong one. */
static noinline int pirn_op_read_other(struct pirn_op *op, u64 resv)
{
	op->target = NULL;
	op->slot = NULL;
	if (!pirn_op_valid(op, resv))
		return -EINVAL;
	if (op->code == PIRN_OP_JOIN || op->code == PIRN_OP_NOP)
		return 0;
	return pirn_op_find(op, op->code == PIRN_OP_WRITE);
}

/*
 * Copies the SQE into op, validates the copy and finds what it names.  Returns as
 * pirn_op_find().
 */
static __always_inline int pirn_op_read(struct pirn_op *op,
					const struct pirn_sqe *sqe)
{
	u64 resv = pirn_op_copy(op, sqe);

	if (likely(pirn_head_is_read(op->head) && !(resv | op->threshold)))
		return pirn_op_find(op, true);
	return pirn_op_read_other(op, resv);
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
		pirn_refuse(op, err);
		return true;
	}
	op->next = ch->free;
	ch->free = op;
	if (!err)
		pirn_plug_one_less();
	return !err;
}

/* The device has no room for op: as pirn_submit_one(). */
static noinline bool pirn_submit_busy(struct pirn_op *op)
{
	if (!op->join && pirn_only_target_busy(op)) {
		pirn_op_unget(op);
		return false;
	}
	pirn_punt_submitted(op);
	return true;
}

/* What is no read of a device, or has ended with err already: as pirn_submit_one(). */
static noinline bool pirn_submit_other(struct pirn_op *op, int err, u32 asked)
{
	if (err || op->code == PIRN_OP_NOP) {
		pirn_refuse(op, err);
		return true;
	}
	if (op->code == PIRN_OP_JOIN)
		return pirn_submit_join(op, asked);
	if (!op->target->bdev) {
		pirn_file_issue(op);
		return true;
	}
	return pirn_block_issue(op) || pirn_submit_busy(op);
}

/*
 * Consumes the next SQE, the first of asked.  A credit for it is in hand.  Returns
 * false when it has to stay in the queue, which no member of a join does.
 */
static __always_inline bool pirn_submit_one(struct pirn_channel *ch, u32 asked)
{
	u32 slot = pirn_ring_slot(ch->sq_head, ch->sq_entries);
	struct pirn_op *op = pirn_op_get(ch);
	int err;

	pirn_op_place(ch, op);
	err = pirn_op_read(op, &ch->sq[slot]);
	if (unlikely(op->join && fatal_signal_pending(current)))
		err = err ?: -EINTR;
	trace_pirn_submit(op, err);
	if (likely(!err && op->code == PIRN_OP_READ && op->target->bdev))
		return likely(pirn_issue_data(ch, op, false)) ||
		       pirn_submit_busy(op);
	return pirn_submit_other(op, err, asked);
}

static void pirn_plug(struct pirn_channel *ch, u32 nr)
{
	blk_start_plug(&ch->plug);
	ch->plug.nr_ios = min(nr, PIRN_PLUG_REQUESTS);
}

/* One look for two questions that are answered with no nearly always. */
static bool pirn_disturbed(void)
{
	return read_thread_flags() & (BIT(TIF_SIGPENDING) | BIT(TIF_NEED_RESCHED));
}

/*
 * Consumes up to asked SQEs, as far as the credits in hand go, and never a part of
 * a join.  May block in the block layer.  Returns how many.
 */
u32 pirn_submit(struct pirn_channel *ch, u32 asked)
{
	u32 nr = min(asked, ch->credits);
	bool batch = nr > 1;
	u32 used = 0;

	if (unlikely(ch->times))
		ch->began = pirn_now(ch);
	if (batch)
		pirn_plug(ch, nr);
	while (used < asked && ch->credits &&
	       pirn_submit_one(ch, asked - used)) {
		ch->credits--;
		ch->sq_head++;
		used++;
		if (likely(!pirn_disturbed()))
			continue;
		if (fatal_signal_pending(current) && !ch->joining)
			break;
		/* What is plugged goes out before somebody else's turn. */
		if (need_resched() && used < nr) {
			blk_finish_plug(&ch->plug);
			cond_resched();
			pirn_plug(ch, nr - used);
		}
	}
	if (batch)
		blk_finish_plug(&ch->plug);
	WRITE_ONCE(ch->header->sq_head, ch->sq_head);
	return used;
}
