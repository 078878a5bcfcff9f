/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of joins, and nothing else: it calls nothing, so that the tests
 * compile this file in user space too.  What the flags mean to user space is told
 * in <linux/pirn.h>.
 */
#ifndef PIRN_JOIN_OPS_H
#define PIRN_JOIN_OPS_H

#include <linux/types.h>
#include <linux/pirn.h>

/* How far a join is.  Written under the channel's lock. */
struct pirn_join_state {
	__u32	nr;		/* members */
	__u32	threshold;
	__u32	ended;
	__u32	succeeded;	/* of ended */
	__u32	entries;	/* of the CQ, reserved and not yet used */
	__u32	fired;		/* the threshold's CQE is out */
};

/* CQEs a join may need: one for both ends when the threshold is all. */
static inline __u32 pirn_join_entries(__u32 nr, __u32 threshold)
{
	return threshold < nr ? 2 : 1;
}

/*
 * Whether such a join can be at all, on a channel with that many result slots:
 * nothing is in flight and the CQ is read, it still must fit.
 */
static inline int pirn_join_valid(__u32 nr, __u32 threshold, __u64 first,
				  __u32 results, __u32 cq_entries)
{
	if (!nr || !threshold || threshold > nr)
		return 0;
	/* In this order, neither difference wraps. */
	if (first > results || nr > results - first)
		return 0;
	return nr < cq_entries &&
	       pirn_join_entries(nr, threshold) <= cq_entries - nr;
}

static inline void pirn_join_begin(struct pirn_join_state *join, __u32 nr,
				   __u32 threshold)
{
	join->nr = nr;
	join->threshold = threshold;
	join->ended = 0;
	join->succeeded = 0;
	join->entries = pirn_join_entries(nr, threshold);
	join->fired = 0;
}

/*
 * A member has ended.  Returns the flags of the CQE that is due now, or 0.  The
 * threshold is decided, too, when those still out could not make up for those
 * that failed.
 */
static inline __u32 pirn_join_settle(struct pirn_join_state *join, bool success)
{
	__u32 flags = 0;

	join->ended++;
	join->succeeded += success;
	if (!join->fired && join->threshold < join->nr &&
	    (join->succeeded == join->threshold ||
	     join->ended - join->succeeded == join->nr - join->threshold + 1)) {
		join->fired = 1;
		flags |= PIRN_CQE_THRESHOLD;
	}
	if (join->ended == join->nr) {
		flags |= PIRN_CQE_DRAINED;
		if (join->threshold == join->nr)
			flags |= PIRN_CQE_THRESHOLD;
	}
	return flags;
}

/*
 * Entries of the CQ that a CQE with these flags takes out of the reservation: the
 * last one takes what is left, for no other will follow.
 */
static inline __u32 pirn_join_release(struct pirn_join_state *join, __u32 flags)
{
	__u32 nr = flags & PIRN_CQE_DRAINED ? join->entries : 1;

	join->entries -= nr;
	return nr;
}

#endif /* PIRN_JOIN_OPS_H */
