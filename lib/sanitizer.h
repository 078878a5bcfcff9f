/* SPDX-License-Identifier: MIT */
/*
 * Tells AddressSanitizer and ThreadSanitizer of every switch of stacks.  Empty
 * in a plain build.
 */
#ifndef PIRN_SANITIZER_H
#define PIRN_SANITIZER_H

#include "lib.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/* Right before the switch; @last: @from never runs again. */
static inline void san_switch_start(struct pirn_fiber *from,
				    struct pirn_fiber *to, bool last)
{
	(void)from;
	(void)to;
	(void)last;
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(last ? NULL : &from->asan_fake,
				       to->stack_low, to->stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/*
 * First thing on the new stack; @fresh: it never ran before.  When @from is
 * given, its bounds are noted: the reactor's are not known otherwise.
 */
static inline void san_switch_end(struct pirn_fiber *self, bool fresh,
				  struct pirn_fiber *from)
{
	(void)self;
	(void)fresh;
	(void)from;
#if defined(__SANITIZE_ADDRESS__)
	const void *low = NULL;
	size_t bytes = 0;

	__sanitizer_finish_switch_fiber(fresh ? NULL : self->asan_fake, &low,
					&bytes);
	if (from && !from->stack_bytes) {
		from->stack_low = (void *)(uintptr_t)low;
		from->stack_bytes = bytes;
	}
#endif
}

/* A stack is about to carry a new fiber. */
static inline void san_stack_fresh(struct pirn_fiber *fiber)
{
	(void)fiber;
#if defined(__SANITIZE_ADDRESS__)
	/* Frames that never returned left their redzones behind. */
	__asan_unpoison_memory_region(fiber->stack_low, fiber->stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
	if (!fiber->tsan)
		fiber->tsan = __tsan_create_fiber(0);
#endif
}

/* A stack goes back to the system. */
static inline void san_stack_gone(struct pirn_fiber *fiber)
{
	(void)fiber;
#if defined(__SANITIZE_THREAD__)
	if (fiber->tsan)
		__tsan_destroy_fiber(fiber->tsan);
	fiber->tsan = NULL;
#endif
}

static inline void san_thread_start(struct pirn_fiber *reactor)
{
	(void)reactor;
#if defined(__SANITIZE_THREAD__)
	reactor->tsan = __tsan_get_current_fiber();
#endif
}

#endif /* PIRN_SANITIZER_H */
