// SPDX-License-Identifier: MIT
/*
 * A core's pool where the module does not make it: the process's own memory, on
 * the core's node, in huge pages where there are any.
 */
#include <linux/mman.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>

#include "backend.h"
#include "lib.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23		/* Linux 5.14 */
#endif

/* Not whatever the default size is, which may be 1 GiB. */
#define HUGE_2M (21 << MAP_HUGE_SHIFT)

/* A wish: without it, first touch on the core's CPU does as much. */
static void bind_to_node(void *base, size_t bytes, int node)
{
	struct bitmask *mask;

	if (numa_available() < 0)
		return;
	mask = numa_allocate_nodemask();
	if (!mask)
		return;
	numa_bitmask_setbit(mask, (unsigned int)node);
	mbind(base, bytes, MPOL_PREFERRED, mask->maskp, mask->size + 1, 0);
	numa_bitmask_free(mask);
}

/*
 * Huge pages, when the node has enough of them.  The kernel is asked to fault
 * them in: a mapping is given on the promise of any node's huge pages, and one
 * that is then bound to a node without, or held to a cgroup's limit, would be
 * SIGBUS when touched.
 */
static bool map_huge(struct pirn_core *core, size_t bytes)
{
	struct pirn_pool *pool = &core->pool;

	pool->map_bytes = (bytes + PIRN_HUGE - 1) & ~(size_t)(PIRN_HUGE - 1);
	pool->map_base = mmap(NULL, pool->map_bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			      HUGE_2M, -1, 0);
	if (pool->map_base == MAP_FAILED)
		return false;
	bind_to_node(pool->map_base, pool->map_bytes, core->node);
	if (!madvise(pool->map_base, pool->map_bytes, MADV_POPULATE_WRITE))
		return true;
	munmap(pool->map_base, pool->map_bytes);
	return false;
}

/* Huge pages when there are any, else ordinary ones that may become huge. */
int pirn_host_pool_map(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct pirn_pool *pool = &core->pool;
	size_t bytes = core->rt->opt.pool_bytes;
	uintptr_t at;

	pool->handle = -1;
	if (!map_huge(core, bytes)) {
		pool->map_bytes = ((bytes + PIRN_HUGE - 1) &
				   ~(size_t)(PIRN_HUGE - 1)) + PIRN_HUGE;
		pool->map_base = mmap(NULL, pool->map_bytes,
				      PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	if (pool->map_base == MAP_FAILED) {
		int err = -errno;

		snprintf(why, why_bytes, "no memory for a pool of %zu KiB: %s",
			 bytes >> 10, strerror(-err));
		return err;
	}
	at = ((uintptr_t)pool->map_base + PIRN_HUGE - 1) &
	     ~(uintptr_t)(PIRN_HUGE - 1);
	pool->base = (char *)at;
	pool->bytes = bytes;
	madvise(pool->base, bytes, MADV_HUGEPAGE);
	madvise(pool->map_base, pool->map_bytes, MADV_DONTFORK);
	bind_to_node(pool->base, bytes, core->node);
	/* Touched now, on the right CPU: not during the first reads. */
	for (size_t i = 0; i < bytes; i += PIRN_PAGE)
		((volatile char *)pool->base)[i] = 0;
	return 0;
}

void pirn_host_pool_unmap(struct pirn_pool *pool)
{
	munmap(pool->map_base, pool->map_bytes);
}
