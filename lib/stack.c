// SPDX-License-Identifier: MIT
/*
 * Stacks: cut from slabs, each with a guard below it and its fiber's
 * control block at the top, and kept for the next fiber, last used first.
 *
 *	low                                                          high
 *	| guard |  stack, grows down  | control block | colour |
 *
 * The guard is larger than a page, so that a frame with a large array cannot
 * step over it into the stack below; -fstack-clash-protection closes the rest.
 * The colour is up to 15 lines of nothing, different from stack to stack, so
 * that the tops of many stacks do not fall into one cache set.  Colour, control
 * block and first frames share one page: all that a fiber which sleeps near its
 * start has of memory.
 *
 * stack_watch.c tells how deep stacks were used, and gives cold ones back.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"
#include "sanitizer.h"
#include "scope.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102		/* Linux 6.13 */
#endif

#define GUARD_BYTES	(64u << 10)
#define SLAB_BYTES	(16u << 20)
#define COLOURS		16

void pirn_stacks_start(struct pirn_stacks *stacks, size_t stack_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	stacks->page = (uint32_t)page;
	stacks->guard = page > GUARD_BYTES ? page : GUARD_BYTES;
	stacks->bytes = ((stack_bytes + page - 1) & ~(page - 1)) +
			stacks->guard;
	stacks->slab_count = (uint32_t)(SLAB_BYTES / stacks->bytes);
	if (!stacks->slab_count)
		stacks->slab_count = 1;
	stacks->look_at = UINT64_MAX;
	/* Emulators say yes to advice they do not know: no guard would be there. */
	stacks->guard_by_protect = !madvise(NULL, 0, -1);
}

struct pirn_fiber *pirn_stack_of_slab(const struct pirn_stacks *stacks,
				      const struct pirn_stack_slab *slab,
				      uint32_t n)
{
	char *top = slab->base + (n + (size_t)1) * stacks->bytes -
		    (n % COLOURS) * PIRN_LINE;
	uintptr_t at = (uintptr_t)(top - sizeof(struct pirn_fiber));

	return (struct pirn_fiber *)(at & ~(uintptr_t)(PIRN_LINE - 1));
}

struct pirn_fiber *pirn_stack_of_guard(const struct pirn_core *core,
				       uintptr_t at)
{
	const struct pirn_stacks *stacks = &core->stacks;

	for (const struct pirn_stack_slab *slab = stacks->slabs; slab;
	     slab = slab->next) {
		size_t offset = at - (uintptr_t)slab->base;

		if (offset >= stacks->bytes * slab->used)
			continue;
		if (offset % stacks->bytes >= stacks->guard)
			return NULL;
		return pirn_stack_of_slab(stacks, slab,
					  (uint32_t)(offset / stacks->bytes));
	}
	return NULL;
}

static int slab_add(struct pirn_core *core)
{
	struct pirn_stacks *stacks = &core->stacks;
	size_t bytes = stacks->bytes * stacks->slab_count;
	struct pirn_stack_slab *slab = calloc(1, sizeof(*slab));

	if (!slab)
		return pirn_fail(core, -ENOMEM, "no memory for a stack");
	slab->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			  MAP_STACK, -1, 0);
	if (slab->base == MAP_FAILED) {
		free(slab);
		return pirn_fail(core, -ENOMEM,
				 "no memory for %u stacks of %zu KiB (mmap: %s; ulimit -v, vm.max_map_count)",
				 stacks->slab_count, stacks->bytes >> 10,
				 strerror(errno));
	}
	/* A huge page would make every stack 2 MiB of memory. */
	madvise(slab->base, bytes, MADV_NOHUGEPAGE);
	slab->bytes = bytes;
	slab->next = stacks->slabs;
	stacks->slabs = slab;
	return 0;
}

/* The guard costs no mapping of its own where the kernel can do that. */
static int guard_install(struct pirn_core *core, char *low)
{
	struct pirn_stacks *stacks = &core->stacks;

	if (!stacks->guard_by_protect) {
		if (!madvise(low, stacks->guard, MADV_GUARD_INSTALL))
			return 0;
		stacks->guard_by_protect = true;
	}
	if (!mprotect(low, stacks->guard, PROT_NONE))
		return 0;
	return pirn_fail(core, -ENOMEM,
			 "no guard for a stack (mprotect: %s): the limit on mappings, vm.max_map_count, is reached",
			 strerror(errno));
}

static struct pirn_fiber *stack_cut(struct pirn_core *core)
{
	struct pirn_stacks *stacks = &core->stacks;
	struct pirn_stack_slab *slab = stacks->slabs;
	struct pirn_fiber *fiber;
	char *stack;

	if (!slab || slab->used == stacks->slab_count) {
		if (slab_add(core))
			return NULL;
		slab = stacks->slabs;
	}
	stack = slab->base + (size_t)slab->used * stacks->bytes;
	if (guard_install(core, stack))
		return NULL;
	fiber = pirn_stack_of_slab(stacks, slab, slab->used);
	slab->used++;
	stacks->made++;
	memset(fiber, 0, sizeof(*fiber));
	fiber->core = core;
	fiber->stack_low = stack + stacks->guard;
	fiber->stack_bytes = (size_t)((char *)fiber - (char *)fiber->stack_low);
	san_stack_made(fiber);
	return fiber;
}

/* The warmest there is; a new one last, because those never go. */
struct pirn_fiber *pirn_stack_get_slow(struct pirn_core *core)
{
	struct pirn_stacks *stacks = &core->stacks;
	struct pirn_fiber *fiber = stacks->aging;

	if (fiber) {
		stacks->aging = fiber->next;
		return fiber;
	}
	fiber = stacks->cold;
	if (fiber) {
		stacks->cold = fiber->next;
		return fiber;
	}
	return stack_cut(core);
}

void pirn_fibers_each(struct pirn_core *core,
		      void (*fn)(struct pirn_core *core,
				 struct pirn_fiber *fiber))
{
	struct pirn_stacks *stacks = &core->stacks;

	for (struct pirn_stack_slab *slab = stacks->slabs; slab;
	     slab = slab->next) {
		for (uint32_t i = 0; i < slab->used; i++) {
			struct pirn_fiber *fiber =
				pirn_stack_of_slab(stacks, slab, i);

			if (fiber->fn && !fiber->ended)
				fn(core, fiber);
		}
	}
}

void pirn_stacks_stop(struct pirn_core *core)
{
	struct pirn_stacks *stacks = &core->stacks;
	struct pirn_stack_slab *slab;

	while ((slab = stacks->slabs)) {
		for (uint32_t i = 0; i < slab->used; i++)
			san_stack_gone(pirn_stack_of_slab(stacks, slab, i));
		stacks->slabs = slab->next;
		munmap(slab->base, slab->bytes);
		free(slab);
	}
	stacks->free = NULL;
	stacks->aging = NULL;
	stacks->cold = NULL;
}
