// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: before the first read, and once in it.  A pool is made of pages that
 * the kernel allocated on a node or that the caller had and let us pin; either
 * way it then is a table of runs, contiguous pieces of memory.  Called by ctl.c
 * (create) and attach.c (references); for each op block.c and file.c ask
 * pirn_pool_span() in pirn.h for the part of the table that the op moves.
 *
 * A pool is complete before its file exists and never changes afterwards, so
 * looking into it takes no lock.  Its pages are charged to the user who created
 * it, the tables to its memory cgroup.  Creation is all or nothing: whatever
 * fails, pirn_pool_free() undoes what nr_pages and charged say has been done.
 */
#include <linux/anon_inodes.h>
#include <linux/cpuset.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/nospec.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/hugetlb.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "pirn.h"

/* Pages pinned between two looks at whether somebody wants us to stop. */
#define PIRN_PIN_BATCH		1024ul

/* bv_len has 32 bits, and it shall stay a multiple of the page size. */
#define PIRN_MAX_RUN_BYTES	SZ_1G

static void pirn_pool_free(struct pirn_pool *pool)
{
	unsigned long i, nr;

	for (i = 0; i < pool->nr_pages; i += nr) {
		nr = min(pool->nr_pages - i, PIRN_PIN_BATCH);
		/* Devices wrote to them behind the page tables' back. */
		if (pool->user)
			unpin_user_pages_dirty_lock(pool->pages + i, nr, true);
		else
			release_pages(pool->pages + i, nr);
		cond_resched();
	}
	kvfree(pool->runs);
	kvfree(pool->run_start);
	kvfree(pool->run_of);
	kvfree(pool->pages);
	if (pool->charged_pages)
		pirn_uncharge(pool->charged, pool->charged_pages);
	free_uid(pool->charged);
	kfree(pool);
}

void pirn_pool_put(struct pirn_pool *pool)
{
	if (refcount_dec_and_test(&pool->ref))
		pirn_pool_free(pool);
}

/* The list of pages is one allocation, and those end below 2 GiB. */
u64 pirn_pool_max_bytes(void)
{
	return min_t(u64, PIRN_MAX_POOL_BYTES,
		     (u64)(INT_MAX / sizeof(struct page *)) << PAGE_SHIFT);
}

/*
 * Fills the pool from the page allocator, largest pieces first.  The order only
 * goes down, so the loop ends.  The flags keep to the node, and to the cpuset
 * of the caller, which GFP_KERNEL would not.  A piece is split into pages that
 * are freed one by one: somebody's reference to one of them, which may outlive
 * the pool and its charge, then holds a page and not megabytes.
 */
static int pirn_pool_allocate(struct pirn_pool *pool, unsigned long nr_pages)
{
	gfp_t gfp = GFP_USER | __GFP_ACCOUNT | __GFP_THISNODE | __GFP_NOWARN |
		    __GFP_ZERO;
	unsigned int order = PIRN_LARGEST_ORDER;
	unsigned long i;
	struct page *page;

	while (pool->nr_pages < nr_pages) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();

		order = min_t(unsigned int, order,
			      ilog2(nr_pages - pool->nr_pages));
		page = alloc_pages_node(pool->node,
					order ? gfp | __GFP_NORETRY : gfp,
					order);
		if (!page) {
			if (!order)
				return -ENOMEM;
			order--;
			continue;
		}
		if (order)
			split_page(page, order);
		for (i = 0; i < 1ul << order; i++)
			pool->pages[pool->nr_pages++] = page + i;
	}
	return 0;
}

/*
 * Memory that stays what it is while pinned: anonymous, shmem or hugetlb.  A
 * file system could have its pages written under it, a device's memory could go
 * away.
 */
static bool pirn_vma_allowed(struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return false;
	if (vma_is_anonymous(vma) || is_vm_hugetlb_page(vma))
		return true;
	return vma->vm_file && shmem_mapping(vma->vm_file->f_mapping);
}

static int pirn_check_vmas(struct mm_struct *mm, unsigned long start,
			   unsigned long end)
{
	struct vm_area_struct *vma;

	while (start < end) {
		vma = find_vma(mm, start);
		if (!vma || vma->vm_start > start)
			return -EFAULT;
		if (!pirn_vma_allowed(vma))
			return -EOPNOTSUPP;
		start = vma->vm_end;
	}
	return 0;
}

/*
 * Pins the caller's memory.  The mappings are looked at and pinned under one
 * hold of the lock, else another thread could exchange them in between.
 */
static int pirn_pool_pin(struct pirn_pool *pool, unsigned long start,
			 unsigned long nr_pages)
{
	struct mm_struct *mm = current->mm;
	long pinned;
	int err;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = pirn_check_vmas(mm, start, start + (nr_pages << PAGE_SHIFT));
	while (!err && pool->nr_pages < nr_pages) {
		pinned = pirn_pin_pages(start + (pool->nr_pages << PAGE_SHIFT),
					min(nr_pages - pool->nr_pages,
					    PIRN_PIN_BATCH),
					FOLL_WRITE | FOLL_LONGTERM,
					pool->pages + pool->nr_pages);
		if (pinned > 0)
			pool->nr_pages += pinned;
		else
			err = pinned ?: -EFAULT;
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	mmap_read_unlock(mm);
	return err;
}

/*
 * A pin holds the whole of a huge page, of which the caller may have named a
 * part: the rest is charged too.  One that is met again after another is charged
 * again, which is on the safe side.
 */
static int pirn_pool_charge_whole(struct pirn_pool *pool)
{
	struct page *head, *last = NULL;
	unsigned long i, whole = 0;
	int err;

	for (i = 0; i < pool->nr_pages; i++) {
		head = compound_head(pool->pages[i]);
		if (head != last)
			whole += compound_nr(head);
		last = head;
		if (!(i % PIRN_PIN_BATCH))
			cond_resched();
	}
	if (whole <= pool->charged_pages)
		return 0;
	err = pirn_charge(pool->charged, whole - pool->charged_pages);
	if (!err)
		pool->charged_pages = whole;
	return err;
}

/*
 * Whether page continues the run that prev ends.  Besides the addresses the
 * struct pages have to be consecutive, as those who walk a bio_vec step from
 * one to the next.
 */
static bool pirn_same_run(struct page *prev, struct page *page)
{
	return page == prev + 1 && page_to_pfn(page) == page_to_pfn(prev) + 1 &&
	       page_zonenum(page) == page_zonenum(prev) &&
	       page_to_nid(page) == page_to_nid(prev);
}

/* Fills in run_of and counts the runs. */
static void pirn_count_runs(struct pirn_pool *pool)
{
	unsigned long i, start = 0;

	pool->nr_runs = 0;
	for (i = 0; i < pool->nr_pages; i++) {
		if (!i || !pirn_same_run(pool->pages[i - 1], pool->pages[i]) ||
		    i - start == PIRN_MAX_RUN_BYTES >> PAGE_SHIFT) {
			start = i;
			pool->nr_runs++;
		}
		pool->run_of[i] = pool->nr_runs - 1;
		if (!(i % PIRN_PIN_BATCH))
			cond_resched();
	}
}

static int pirn_build_runs(struct pirn_pool *pool)
{
	unsigned long i;
	u32 run;

	pirn_count_runs(pool);
	pool->runs = kvcalloc(pool->nr_runs, sizeof(*pool->runs),
			      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	pool->run_start = kvcalloc(pool->nr_runs, sizeof(*pool->run_start),
				   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pool->runs || !pool->run_start)
		return -ENOMEM;
	for (i = 0; i < pool->nr_pages; i++) {
		run = pool->run_of[i];
		if (!pool->runs[run].bv_page) {
			pool->runs[run].bv_page = pool->pages[i];
			pool->run_start[run] = i;
		}
		pool->runs[run].bv_len += PAGE_SIZE;
		if (!(i % PIRN_PIN_BATCH))
			cond_resched();
	}
	return 0;
}

static int pirn_pool_construct(struct pirn_pool *pool,
			       const struct pirn_pool_create *arg)
{
	unsigned long nr_pages = arg->bytes >> PAGE_SHIFT;
	int err;

	err = pirn_charge(pool->charged, nr_pages);
	if (err)
		return err;
	pool->charged_pages = nr_pages;
	pool->pages = kvmalloc_array(nr_pages, sizeof(*pool->pages),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	pool->run_of = kvmalloc_array(nr_pages, sizeof(*pool->run_of),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pool->pages || !pool->run_of)
		return -ENOMEM;
	if (pool->user)
		err = pirn_pool_pin(pool, arg->addr, nr_pages) ?:
		      pirn_pool_charge_whole(pool);
	else
		err = pirn_pool_allocate(pool, nr_pages);
	if (err)
		return err;
	return pirn_build_runs(pool);
}

static int pirn_pool_release(struct inode *inode, struct file *file)
{
	pirn_pool_put(file->private_data);
	return 0;
}

static int pirn_pool_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pirn_pool *pool = file->private_data;

	if (pool->user)
		return -ENODEV;
	return pirn_mmap_pages(vma, pool->pages, pool->nr_pages);
}

static void pirn_pool_fdinfo(struct seq_file *m, struct file *file)
{
	struct pirn_pool *pool = file->private_data;

	seq_printf(m, "pirn-bytes:\t%llu\npirn-segments:\t%u\npirn-node:\t%d\n",
		   pool->bytes, pool->nr_runs, pool->node);
}

static const struct file_operations pirn_pool_fops = {
	.owner		= THIS_MODULE,
	.release	= pirn_pool_release,
	.mmap		= pirn_pool_mmap,
	.show_fdinfo	= pirn_pool_fdinfo,
	.llseek		= noop_llseek,
};

/* Returns the pool behind fd with a reference, or an error pointer. */
struct pirn_pool *pirn_pool_get_fd(int fd)
{
	struct file *file = fget(fd);
	struct pirn_pool *pool;

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op == &pirn_pool_fops) {
		pool = file->private_data;
		refcount_inc(&pool->ref);
	} else {
		pool = ERR_PTR(-EBADF);
	}
	fput(file);
	return pool;
}

static int pirn_pool_check(const struct pirn_pool_create *arg)
{
	int node;

	if (arg->flags & ~PIRN_POOL_USER)
		return -EINVAL;
	if (!arg->bytes || !IS_ALIGNED(arg->bytes, PAGE_SIZE) ||
	    arg->bytes > pirn_pool_max_bytes())
		return -EINVAL;
	if (arg->flags & PIRN_POOL_USER) {
		if (arg->node != NUMA_NO_NODE ||
		    !IS_ALIGNED(arg->addr, PAGE_SIZE))
			return -EINVAL;
		if (arg->addr > ULONG_MAX || arg->bytes > ULONG_MAX ||
		    !access_ok(u64_to_user_ptr(arg->addr), arg->bytes))
			return -EFAULT;
		return 0;
	}
	if (arg->addr)
		return -EINVAL;
	if (arg->node == NUMA_NO_NODE)
		return 0;
	if (arg->node < 0 || arg->node >= MAX_NUMNODES)
		return -EINVAL;
	node = array_index_nospec(arg->node, MAX_NUMNODES);
	if (!node_state(node, N_MEMORY) ||
	    !node_isset(node, cpuset_current_mems_allowed))
		return -EINVAL;
	return 0;
}

/* The caller's node, or the next one that its cpuset allows. */
static int pirn_local_node(void)
{
	int node = numa_mem_id();

	if (!node_isset(node, cpuset_current_mems_allowed))
		node = next_node_in(node, cpuset_current_mems_allowed);
	return node;
}

/* Returns the pool's file, or an error pointer. */
struct file *pirn_pool_create(struct pirn_pool_create *arg)
{
	struct pirn_pool *pool;
	struct file *file;
	int err;

	err = pirn_pool_check(arg);
	if (err)
		return ERR_PTR(err);
	pool = kzalloc(sizeof(*pool), GFP_KERNEL_ACCOUNT);
	if (!pool)
		return ERR_PTR(-ENOMEM);
	refcount_set(&pool->ref, 1);
	pool->bytes = arg->bytes;
	pool->user = arg->flags & PIRN_POOL_USER;
	pool->charged = get_uid(current_user());
	pool->node = arg->node;
	if (!pool->user && pool->node == NUMA_NO_NODE)
		pool->node = pirn_local_node();
	err = pirn_pool_construct(pool, arg);
	if (err)
		goto free_pool;
	file = anon_inode_getfile("[pirn-pool]", &pirn_pool_fops, pool, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto free_pool;
	}
	arg->segments = pool->nr_runs;
	return file;

free_pool:
	pirn_pool_free(pool);
	return ERR_PTR(err);
}
