// SPDX-License-Identifier: MIT
/*
 * How deep stacks were used, and giving back what nobody uses.
 *
 * A core looks at its stacks once in an interval.  The list it takes stacks from
 * is then put aside to age, whole, which costs the same however long it is.
 * Stacks are taken from what has come back since, and from the aging ones only
 * when there is none: so what is left of those at the next look was one more
 * than the core needed for all of an interval.  These are cold.  The depth of a
 * cold stack is where its lowest page with memory lies; then all but the top page
 * goes back to the kernel.  Spawning and joining fibers pays nothing for it.
 *
 * Depth of a page is what that can say.  With PIRN_DEBUG every stack is filled
 * with a pattern before a fiber gets it, and the lowest byte that changed tells.
 */
#include <sys/mman.h>

#include "backend.h"
#include "lib.h"

#define INTERVAL_NS	1000000000u	/* told in <pirn.h> */
#define FEW		16u	/* pooled stacks that no core wakes for */

/* The top page is the one with the control block. */
static char *top_page(const struct pirn_stacks *stacks,
		      const struct pirn_fiber *fiber)
{
	return (char *)((uintptr_t)fiber & ~(uintptr_t)(stacks->page - 1));
}

/*
 * The lowest byte of a page with memory in the stack, or the top page; the bytes
 * of all such pages from there up to the top page are added to *resident.
 */
static char *lowest_page(const struct pirn_stacks *stacks,
			 const struct pirn_fiber *fiber, uint64_t *resident)
{
	char *top = top_page(stacks, fiber), *low = fiber->stack_low;
	char *lowest = top;
	unsigned char in[256];

	while (low < top) {
		size_t pages = (size_t)(top - low) / stacks->page;

		if (pages > sizeof(in))
			pages = sizeof(in);
		if (mincore(low, pages * stacks->page, in))
			return lowest;	/* no memory to tell: as if unused */
		for (size_t i = 0; i < pages; i++) {
			if (!(in[i] & 1))
				continue;
			if (lowest == top)
				lowest = low + i * stacks->page;
			*resident += stacks->page;
		}
		low += pages * stacks->page;
	}
	return lowest;
}

static void note_used(struct pirn_stacks *stacks,
		      const struct pirn_fiber *fiber, const char *lowest)
{
	uint64_t used = (uint64_t)((const char *)fiber - lowest);

	if (used > stacks->used_most)
		stacks->used_most = used;
}

#if defined(PIRN_DEBUG)

#define PATTERN 0xb5b5b5b5b5b5b5b5u
/* Dead frames left their red zones; and the tools need not follow this. */
#define uninstrumented \
	__attribute__((noinline, no_sanitize("address"), no_sanitize("thread")))

static uninstrumented const char *lowest_changed(const struct pirn_fiber *fiber)
{
	const uint64_t *word = fiber->stack_low;
	const char *byte;

	while ((const void *)word < (const void *)fiber && *word == PATTERN)
		word++;
	byte = (const char *)word;
	while (byte < (const char *)fiber && *byte == (char)PATTERN)
		byte++;
	return byte;
}

/* From @at on: below, it is as it was filled. */
static uninstrumented void pattern_fill(const struct pirn_fiber *fiber,
					const char *at)
{
	volatile uint64_t *word =
		(volatile uint64_t *)((uintptr_t)at & ~(uintptr_t)7);

	for (; (volatile void *)word < (const volatile void *)fiber; word++)
		*word = PATTERN;
}

void pirn_stack_pattern(struct pirn_core *core, struct pirn_fiber *fiber)
{
	const char *at = fiber->stack_low;

	if (fiber->patterned) {
		at = lowest_changed(fiber);
		note_used(&core->stacks, fiber, at);
	}
	pattern_fill(fiber, at);
	fiber->patterned = true;
}

/* Where the pattern is, it tells; pages then tell nothing. */
static void look(struct pirn_stacks *stacks, struct pirn_fiber *fiber,
		 const char *lowest)
{
	(void)lowest;
	if (fiber->patterned)
		note_used(stacks, fiber, lowest_changed(fiber));
}

static void look_no_more(struct pirn_fiber *fiber)
{
	fiber->patterned = false;
}

#else

static void look(struct pirn_stacks *stacks, struct pirn_fiber *fiber,
		 const char *lowest)
{
	note_used(stacks, fiber, lowest);
}

static void look_no_more(struct pirn_fiber *fiber)
{
	(void)fiber;
}

#endif

static void give_back(struct pirn_stacks *stacks, struct pirn_fiber *fiber)
{
	uint64_t bytes = 0;
	char *lowest = lowest_page(stacks, fiber, &bytes);
	char *top = top_page(stacks, fiber);

	look(stacks, fiber, lowest);
	if (lowest < top && !madvise(lowest, (size_t)(top - lowest),
				     MADV_DONTNEED)) {
		look_no_more(fiber);
		stacks->returned += bytes;
	}
}

bool pirn_stacks_due(const struct pirn_stacks *stacks)
{
	const struct pirn_fiber *fiber = stacks->free;

	if (stacks->look_at != UINT64_MAX)
		return true;
	for (uint32_t n = 0; fiber && n < FEW; n++)
		fiber = fiber->next;
	return fiber;
}

bool pirn_stacks_tend(struct pirn_core *core, uint32_t most)
{
	struct pirn_stacks *stacks = &core->stacks;
	bool some = stacks->aging;
	struct pirn_fiber *fiber;
	uint64_t now;

	if (!stacks->free && !stacks->aging) {
		stacks->look_at = UINT64_MAX;
		return false;
	}
	now = core->ops->now(core);
	if (stacks->look_at == UINT64_MAX)
		stacks->look_at = now + INTERVAL_NS;
	if (now < stacks->look_at)
		return false;
	for (uint32_t i = 0; i < most && stacks->aging; i++) {
		fiber = stacks->aging;
		stacks->aging = fiber->next;
		give_back(stacks, fiber);
		fiber->next = stacks->cold;
		stacks->cold = fiber;
	}
	if (!stacks->aging) {
		stacks->aging = stacks->free;
		stacks->free = NULL;
		stacks->look_at = now + INTERVAL_NS;
	}
	return some;
}

/* ---------------------------------------------------------------- public */

static uint64_t count(const struct pirn_fiber *list)
{
	uint64_t n = 0;

	for (; list; list = list->next)
		n++;
	return n;
}

int pirn_stack_stats(struct pirn_stack_stats *stats)
{
	struct pirn_core *core = pirn_this();
	struct pirn_stack_stats now = { 0 };
	struct pirn_stacks *stacks;
	size_t size;

	if (!core)
		return -EPERM;
	if (!stats || stats->size < sizeof(stats->size))
		return pirn_fail(core, -EINVAL,
				 "pirn_stack_stats: size is not set");
	stacks = &core->stacks;
	for (struct pirn_stack_slab *slab = stacks->slabs; slab;
	     slab = slab->next) {
		for (uint32_t i = 0; i < slab->used; i++) {
			struct pirn_fiber *fiber =
				pirn_stack_of_slab(stacks, slab, i);

			look(stacks, fiber,
			     lowest_page(stacks, fiber, &now.resident));
		}
	}
	now.stack_bytes = stacks->bytes - stacks->guard;
	now.used_most = stacks->used_most;
	now.made = stacks->made;
	now.resident += now.made * stacks->page;	/* the top pages */
	now.cold = count(stacks->cold);
	now.pooled = now.cold + count(stacks->aging) + count(stacks->free);
	now.returned = stacks->returned;
	size = stats->size < sizeof(*stats) ? stats->size : sizeof(*stats);
	now.size = size;
	memcpy(stats, &now, size);
	return 0;
}
