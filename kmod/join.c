// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: beside it.  Ops that wake their fiber once: a JOIN SQE opens a join for
 * the SQEs behind it (called by submit.c), and complete.c comes by with each of
 * them that has ended and learns whether a CQE is due.
 *
 * A join and its members are let in together or not at all, so a join that is
 * open outside an ENTER has all its members, each of which ends once.  Hence it
 * drains by itself: nobody can leave one half open, and a channel that is closed
 * waits for the ops alone.
 *
 * Credits.  Each member holds one while it is in flight, for the sake of its op;
 * it is given back without a CQE.  The CQEs of the join hold one each.  As both
 * are at least one, there are never more joins than half the CQ's entries, and an
 * admitted JOIN always finds one.
 */
#include <linux/nospec.h>
#include <linux/slab.h>

#include "pirn.h"

u64 pirn_joins_bytes(const struct pirn_channel *ch)
{
	return array_size(ch->nr_joins, sizeof(*ch->joins)) +
	       BITS_TO_LONGS(ch->nr_results) * sizeof(long);
}

/* On failure the caller calls pirn_joins_free(). */
int pirn_joins_alloc(struct pirn_channel *ch, int node)
{
	u32 i;

	if (!ch->nr_results)
		return 0;
	ch->result_map = bitmap_zalloc_node(ch->nr_results, GFP_KERNEL_ACCOUNT,
					    node);
	if (!ch->result_map)
		return -ENOMEM;
	if (!ch->nr_joins)
		return 0;
	ch->joins = kvmalloc_node(array_size(ch->nr_joins, sizeof(*ch->joins)),
				  GFP_KERNEL_ACCOUNT | __GFP_ZERO, node);
	if (!ch->joins)
		return -ENOMEM;
	for (i = ch->nr_joins; i; i--) {
		ch->joins[i - 1].next = ch->free_joins;
		ch->free_joins = &ch->joins[i - 1];
	}
	return 0;
}

void pirn_joins_free(struct pirn_channel *ch)
{
	kvfree(ch->joins);
	bitmap_free(ch->result_map);
}

/*
 * Takes a join, and slots for it.  Returns NULL if one of them is taken.  As many
 * as entries of the credits in hand become the join's.
 */
static struct pirn_join *pirn_join_take(struct pirn_channel *ch, u32 first,
					u32 nr, u32 entries)
{
	struct pirn_join *join = NULL;

	spin_lock_irq(&ch->lock);
	if (find_next_bit(ch->result_map, first + nr, first) >= first + nr) {
		bitmap_set(ch->result_map, first, nr);
		join = ch->free_joins;
		ch->free_joins = join->next;
		ch->join_entries += entries;
		ch->counters.joins++;
	}
	spin_unlock_irq(&ch->lock);
	return join;
}

/*
 * Opens the join that op, a JOIN, asks for: the next SQEs are its members.  asked
 * is how many SQEs there are for this ENTER, the JOIN with them.
 *
 * Returns 0, and the JOIN's credit is the join's; -EAGAIN when there are too few
 * in hand and it has to stay in the queue, for a CQE will come; or what the JOIN
 * completes with.
 */
int pirn_join_open(struct pirn_op *op, u32 asked)
{
	struct pirn_channel *ch = op->channel;
	u32 nr = op->len, threshold = op->threshold;
	struct pirn_join *join;
	u32 entries;

	if (!pirn_join_valid(nr, threshold, op->offset, ch->nr_results,
			     ch->cq_entries) || nr >= asked)
		return -EINVAL;
	entries = pirn_join_entries(nr, threshold);
	if (nr + entries > ch->credits)
		return -EAGAIN;
	join = pirn_join_take(ch, op->offset, nr, entries);
	if (!join)
		return -EBUSY;

	/* No member is in flight yet: the join is ours alone. */
	ch->credits -= entries - 1;
	ch->joining = join;
	join->cookie = op->cookie;
	join->first = array_index_nospec(op->offset, ch->nr_results);
	pirn_join_begin(&join->state, nr, threshold);
	ch->members_left = nr;
	ch->next_result = join->first;
	return 0;
}

/* The join is over: its slots may be named again. */
static void pirn_join_drained(struct pirn_channel *ch, struct pirn_join *join)
{
	bitmap_clear(ch->result_map, join->first, join->state.nr);
	join->next = ch->free_joins;
	ch->free_joins = join;
	/* The JOIN itself, which was submitted, has ended. */
	ch->counters.completed++;
}

/*
 * op, a member, has ended, with what its slot is to say.  Returns the flags of the
 * join's CQE that is due now, or 0; the rest of it is in the join, which stays as it
 * is while the channel's lock is held.  Any context, under that lock.
 */
u32 pirn_join_end(struct pirn_op *op, s32 res, u64 device, u64 published)
{
	struct pirn_channel *ch = op->channel;
	struct pirn_cqe *slot = &ch->results[op->result];
	struct pirn_join *join = op->join;
	u32 flags, released;

	lockdep_assert_held(&ch->lock);

	slot->cookie = op->cookie;				/* (F) */
	slot->res = res;
	slot->device = device;
	slot->published = published;
	smp_store_release(&slot->flags, PIRN_CQE_DONE);		/* (G) */

	flags = pirn_join_settle(&join->state, res >= 0);
	if (!flags)
		return 0;
	released = pirn_join_release(&join->state, flags);
	ch->in_flight -= released;
	ch->join_entries -= released;
	if (flags & PIRN_CQE_DRAINED)
		pirn_join_drained(ch, join);
	return flags;
}
