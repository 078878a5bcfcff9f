/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of the rings, and nothing else: it calls nothing, so that the
 * tests compile this file in user space and compare it with a plain queue.
 *
 * Indices are free-running __u32, entries is a power of two no greater than
 * PIRN_MAX_CQ_ENTRIES.  head is user space's and may be anything.
 */
#ifndef PIRN_RING_OPS_H
#define PIRN_RING_OPS_H

#include <linux/types.h>

static inline __u32 pirn_ring_slot(__u32 index, __u32 entries)
{
	return index & (entries - 1);
}

/*
 * CQEs published and not yet read.  A head that is ahead of tail, or further
 * behind than the ring is long, is a lie: it counts as a full ring, which
 * admits nothing and so overwrites nothing.
 */
static inline __u32 pirn_ring_unread(__u32 tail, __u32 head, __u32 entries)
{
	__u32 unread = tail - head;

	return unread > entries ? entries : unread;
}

/*
 * How many more ops may be admitted.  Each op in flight owns a CQ entry that
 * nobody else may take, each unread CQE occupies one: what is left is free.
 * in_flight is the kernel's own and at most entries, the sum cannot wrap.
 */
static inline __u32 pirn_ring_credits(__u32 tail, __u32 head, __u32 in_flight,
				      __u32 entries)
{
	__u32 used = in_flight + pirn_ring_unread(tail, head, entries);

	return used >= entries ? 0 : entries - used;
}

#endif /* PIRN_RING_OPS_H */
