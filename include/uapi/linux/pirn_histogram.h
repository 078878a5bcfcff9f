/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * A histogram of nanoseconds in bounded memory: the arithmetic, and nothing else.
 * The module and the library count with it, the tests compare it with a plain
 * division, and what debugfs shows is in its buckets.
 *
 * Buckets are log-linear, as those of HdrHistogram: each power of two is cut into
 * PIRN_HISTOGRAM_PARTS equal ones, so that a bucket is at most an eighth of its
 * values wide.  What is 2 * PIRN_HISTOGRAM_PARTS and less has one for each value;
 * every u64 has a bucket, so that nothing is compared with a limit.
 */
#ifndef _UAPI_LINUX_PIRN_HISTOGRAM_H
#define _UAPI_LINUX_PIRN_HISTOGRAM_H

#include <linux/types.h>

#define PIRN_HISTOGRAM_SHIFT	3
#define PIRN_HISTOGRAM_PARTS	(1u << PIRN_HISTOGRAM_SHIFT)
#define PIRN_HISTOGRAM_BUCKETS \
	((64 - PIRN_HISTOGRAM_SHIFT + 1) * PIRN_HISTOGRAM_PARTS)

/* The bucket that counts @ns. */
static inline __u32 pirn_histogram_bucket(__u64 ns)
{
	/* So that PIRN_HISTOGRAM_SHIFT bits are left below the highest one. */
	__u32 shift = (63 ^ __builtin_clzll(ns | PIRN_HISTOGRAM_PARTS)) -
		      PIRN_HISTOGRAM_SHIFT;

	return shift * PIRN_HISTOGRAM_PARTS + (ns >> shift);
}

/*
 * The least ns that bucket counts; that of the one after is where it ends, and 0
 * after the last one.
 */
static inline __u64 pirn_histogram_start(__u32 bucket)
{
	__u32 shift;

	if (bucket < 2 * PIRN_HISTOGRAM_PARTS)
		return bucket;
	shift = bucket / PIRN_HISTOGRAM_PARTS - 1;
	return (__u64)(bucket % PIRN_HISTOGRAM_PARTS + PIRN_HISTOGRAM_PARTS) <<
	       shift;
}

#endif /* _UAPI_LINUX_PIRN_HISTOGRAM_H */
