// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: before the first read.  Memory that user space shares with the module:
 * who is charged for it and how it is mapped.  Called by channel.c and pool.c.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/sched/signal.h>

#include "pirn.h"

/*
 * Charges pages to user, on whom the caller has a reference, against the
 * caller's RLIMIT_MEMLOCK.  The user and not the mm: fds are passed on and
 * outlive their creator, and what is charged to a dead mm is never given back.
 *
 * Returns 0 or -ENOMEM.
 */
int pirn_charge(struct user_struct *user, unsigned long nr_pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	long old = atomic_long_read(&user->locked_vm);
	unsigned long new;

	do {
		new = old + nr_pages;
		if (new < nr_pages)
			return -ENOMEM;
		/* Asked only when it matters: the question is audited. */
		if (new > limit && !capable(CAP_IPC_LOCK))
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &old, new));
	return 0;
}

void pirn_uncharge(struct user_struct *user, unsigned long nr_pages)
{
	atomic_long_sub(nr_pages, &user->locked_vm);
}

/* Pages mapped between two looks at whether somebody wants us to stop. */
#define PIRN_MMAP_BATCH		1024ul

/*
 * Maps the part of pages that vma asks for.  Every page gets its own reference
 * and is an ordinary one to whoever finds it in the page table: O_DIRECT and
 * long-term pinning work on it, which is why this is VM_MIXEDMAP and neither
 * VM_IO nor VM_PFNMAP.  A private mapping is refused, because its first write
 * would silently go to a copy; so is a file that is not open for writing, which
 * loses VM_SHARED before it comes here.
 */
int pirn_mmap_pages(struct vm_area_struct *vma, struct page **pages,
		    unsigned long nr_pages)
{
	unsigned long addr = vma->vm_start;
	unsigned long nr = vma_pages(vma);
	unsigned long first = vma->vm_pgoff;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* Rings and data. */
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (first >= nr_pages || nr > nr_pages - first)
		return -EINVAL;

	pirn_vma_set_flags(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTCOPY |
				VM_DONTDUMP);
	pirn_vma_clear_flags(vma, VM_MAYEXEC);
	while (nr) {
		unsigned long batch = min(nr, PIRN_MMAP_BATCH);
		unsigned long left = batch;
		int err;

		err = vm_insert_pages(vma, addr, pages + first, &left);
		if (err)
			return err;
		addr += batch << PAGE_SHIFT;
		first += batch;
		nr -= batch;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
