/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels pirn is built for.  No other file tests a
 * version; each difference is a name for a capability, and its condition is
 * here.  A kernel is let in below when the module has been compiled against it
 * and its tests have passed in a virtual machine running it.
 */
#ifndef PIRN_COMPAT_H
#define PIRN_COMPAT_H

#include <linux/version.h>

/* 6.1 is 601: stable releases do not change what matters here. */
#define PIRN_KERNEL	(LINUX_VERSION_MAJOR * 100 + LINUX_VERSION_PATCHLEVEL)

#if PIRN_KERNEL < 601
#error "pirn needs Linux 6.1 or newer"
#endif
#if PIRN_KERNEL > 601
#error "pirn has not been ported to a Linux newer than 6.1 yet"
#endif

#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/mm.h>

/* The largest order the page allocator serves; MAX_ORDER is one past it. */
#define PIRN_LARGEST_ORDER	(MAX_ORDER - 1)

static inline void pirn_vma_set_flags(struct vm_area_struct *vma,
				      unsigned long flags)
{
	vma->vm_flags |= flags;
}

/* Pins pages of current's memory; the caller holds its mmap lock for reading. */
static inline long pirn_pin_pages(unsigned long start, unsigned long nr,
				  unsigned int gup_flags, struct page **pages)
{
	return pin_user_pages(start, nr, gup_flags, pages, NULL);
}

/* The block cgroup of current, or NULL in a kernel without; under RCU. */
static inline struct cgroup_subsys_state *pirn_current_blkcg(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_css(current, io_cgrp_id);
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

static inline void pirn_blkcg_put(struct cgroup_subsys_state *css)
{
#ifdef CONFIG_BLK_CGROUP
	css_put(css);
#endif
}

#endif /* PIRN_COMPAT_H */
