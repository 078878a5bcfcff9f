/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels pirn is built for.  No other file tests a
 * version; each difference is a name for a capability, and its condition is
 * here: the version it came with, or the macro that came with it where there is
 * one.  What all of them have is used as it is.
 *
 * To let in a newer kernel:
 *
 * - raise the upper bound below;
 * - make it known to tests/vm/fetch-kernel, if its row 7.x does not fetch it;
 * - tests/vm/module V until it compiles.  For what does not, look for a way to
 *   write it that all kernels take; else give it a name here;
 * - read what changed where the module relies on more than a prototype: the
 *   split logic behind pirn_fits(), who completes a refused bio and in which
 *   context, how vm_insert_pages() and long-term pins treat each other;
 * - tests/vm/suite --kernel V passes, and tests/vm/figures io has its table.
 *
 * A kernel is let in when all of that is done, not when it compiles.
 */
#ifndef PIRN_COMPAT_H
#define PIRN_COMPAT_H

#include <linux/version.h>

/* 6.1 is 601: stable releases do not change what matters here. */
#define PIRN_KERNEL	(LINUX_VERSION_MAJOR * 100 + LINUX_VERSION_PATCHLEVEL)

#if PIRN_KERNEL < 601
#error "pirn needs Linux 6.1 or newer; nothing older was ever tested"
#endif
#if PIRN_KERNEL > 703
#error "the newest Linux pirn has been tested on is 7.3: see above what it takes to let in another"
#endif

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/workqueue.h>

/* The largest order the page allocator serves. */
#ifdef MAX_PAGE_ORDER		/* 6.8 */
#define PIRN_LARGEST_ORDER	MAX_PAGE_ORDER
#else				/* MAX_ORDER is one past it */
#define PIRN_LARGEST_ORDER	(MAX_ORDER - 1)
#endif

/* pirn_exit() needs it to mean more than synchronize_rcu() does. */
#if defined(CONFIG_PREEMPTION) && !defined(CONFIG_TASKS_RCU)
#error "pirn needs CONFIG_TASKS_RCU in a kernel that preempts itself"
#endif

/*
 * What an unbound workqueue's limit has to be for so many of its items at a time on
 * each memory node.  It was that itself, until it was divided between the nodes.
 */
static inline u32 pirn_wq_limit(u32 per_node)
{
#if PIRN_KERNEL >= 609
	per_node *= num_node_state(N_CPU);
#endif
	return min_t(u32, per_node, WQ_UNBOUND_MAX_ACTIVE);
}

static inline void pirn_vma_clear_flags(struct vm_area_struct *vma,
					unsigned long flags)
{
#if PIRN_KERNEL >= 603
	vm_flags_clear(vma, flags);
#else
	vma->vm_flags &= ~flags;
#endif
}

static inline void pirn_vma_set_flags(struct vm_area_struct *vma,
				      unsigned long flags)
{
#if PIRN_KERNEL >= 603
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* Where in its first bio_vec the bio begins. */
static inline void pirn_bio_set_skip(struct bio *bio, unsigned int bytes)
{
#if PIRN_KERNEL >= 703
	bio->bi_iter.bi_offset = bytes;
#else
	bio->bi_iter.bi_bvec_done = bytes;
#endif
}

/* Pins pages of current's memory; the caller holds its mmap lock for reading. */
static inline long pirn_pin_pages(unsigned long start, unsigned long nr,
				  unsigned int gup_flags, struct page **pages)
{
#if PIRN_KERNEL >= 605
	return pin_user_pages(start, nr, gup_flags, pages);
#else
	return pin_user_pages(start, nr, gup_flags, pages, NULL);
#endif
}

/* Writes that are torn nowhere. */
#ifdef REQ_ATOMIC		/* 6.11 */
#define PIRN_REQ_ATOMIC		REQ_ATOMIC
#define pirn_can_write_atomic(bdev)	bdev_can_atomic_write(bdev)
#else
#define PIRN_REQ_ATOMIC		0
#define pirn_can_write_atomic(bdev)	false
#endif

/* ns that current was runnable and did not run; 0 in a kernel that does not count. */
static inline u64 pirn_run_delay(void)
{
#ifdef CONFIG_SCHED_INFO
	return current->sched_info.run_delay;
#else
	return 0;
#endif
}

/*
 * The block and the memory cgroup of current, or NULL in a kernel without: to
 * compare only, and where interrupts are off or a spinlock is held, which keeps RCU
 * waiting.
 */
static inline struct cgroup_subsys_state *pirn_current_blkcg(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_css_check(current, io_cgrp_id, true);
#else
	return NULL;
#endif
}

static inline struct cgroup_subsys_state *pirn_current_memcg(void)
{
#ifdef CONFIG_MEMCG
	return task_css_check(current, memory_cgrp_id, true);
#else
	return NULL;
#endif
}

/* The same with a reference. */
static inline struct cgroup_subsys_state *pirn_current_blkcg_get(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

static inline struct cgroup_subsys_state *pirn_current_memcg_get(void)
{
#ifdef CONFIG_MEMCG
	return task_get_css(current, memory_cgrp_id);
#else
	return NULL;
#endif
}

/* References to one of these, or to NULL. */
static inline void pirn_css_get(struct cgroup_subsys_state *css)
{
	if (css)
		css_get(css);
}

static inline void pirn_css_put(struct cgroup_subsys_state *css)
{
	if (css)
		css_put(css);
}

#endif /* PIRN_COMPAT_H */
