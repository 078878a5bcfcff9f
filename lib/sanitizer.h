/* SPDX-License-Identifier: MIT */
/*
 * Tells AddressSanitizer, LeakSanitizer, ThreadSanitizer and Valgrind what they
 * cannot see: that one thread has many stacks, and when it goes from one to the
 * other.  A plain build tells Valgrind only where stacks are, when they are made.
 *
 * The stack of a fiber that has ended is poisoned until the next one gets it:
 * who uses it is reported, and what only it still points to is leaked.
 */
#ifndef PIRN_SANITIZER_H
#define PIRN_SANITIZER_H

#include "lib.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define PIRN_VALGRIND 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/*
 * The functions at the bottom of a stack never return, and the next fiber there
 * begins anew: ThreadSanitizer, which keeps a list of the functions a fiber is
 * in, would find it two longer each time, until it is full after some 30,000.
 */
#if defined(__SANITIZE_THREAD__)
#define san_never_returns __attribute__((noinline, no_sanitize("thread")))
/* Entered on one fiber's list, left on another's. */
#define san_switches __attribute__((no_sanitize("thread")))
#else
#define san_never_returns
#define san_switches
#endif

/* Under a tool whose threads take turns: one that waits must say so. */
static inline bool san_one_thread_at_a_time(void)
{
#if defined(PIRN_VALGRIND)
	return RUNNING_ON_VALGRIND;
#else
	return false;
#endif
}

struct pirn_region {
	const void *low;
	size_t bytes;
};

/* Right before the switch; @last: @from never runs again. */
static inline san_switches void san_switch_start(struct pirn_fiber *from,
						 struct pirn_fiber *to,
						 bool last)
{
	(void)from;
	(void)to;
	(void)last;
#if defined(__SANITIZE_ADDRESS__)
	/* From here to the switch nothing looks at this stack but by register. */
	if (last) {
		from->asan_fake = NULL;
		__asan_poison_memory_region(from->stack_low, from->stack_bytes);
	}
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
	if (fiber->tsan && fiber->tsan_left_deep) {
		__tsan_destroy_fiber(fiber->tsan);
		fiber->tsan = NULL;
	}
	fiber->tsan_left_deep = false;
	if (!fiber->tsan)
		fiber->tsan = __tsan_create_fiber(0);
#endif
}

/* The fiber ends inside functions that never return: see san_never_returns. */
static inline void san_left_deep(struct pirn_fiber *fiber)
{
	(void)fiber;
#if defined(__SANITIZE_THREAD__)
	fiber->tsan_left_deep = true;
#endif
}

/* A stack is there, and the control block on it; no fiber yet. */
static inline void san_stack_made(struct pirn_fiber *fiber)
{
	(void)fiber;
#if defined(__SANITIZE_ADDRESS__)
	/* Without the guard, which cannot be read. */
	__lsan_register_root_region(fiber->stack_low,
				    fiber->stack_bytes + sizeof(*fiber));
#endif
#if defined(PIRN_VALGRIND)
	fiber->valgrind = VALGRIND_STACK_REGISTER(fiber->stack_low, fiber);
#endif
}

/* A stack goes back to the system, maybe with a fiber that never ended. */
static inline void san_stack_gone(struct pirn_fiber *fiber)
{
	(void)fiber;
#if defined(__SANITIZE_ADDRESS__)
	/*
	 * A parked fiber's fake stack is freed by the switch away from it only:
	 * tell of one that does not take place.
	 */
	if (fiber->asan_fake) {
		const void *low;
		void *mine;
		size_t bytes;

		__sanitizer_start_switch_fiber(&mine, fiber->stack_low,
					       fiber->stack_bytes);
		__sanitizer_finish_switch_fiber(fiber->asan_fake, &low, &bytes);
		fiber->asan_fake = NULL;
		__sanitizer_start_switch_fiber(NULL, low, bytes);
		__sanitizer_finish_switch_fiber(mine, NULL, NULL);
	}
	/* The mapping's next user must not find it poisoned. */
	__asan_unpoison_memory_region(fiber->stack_low, fiber->stack_bytes);
	__lsan_unregister_root_region(fiber->stack_low,
				      fiber->stack_bytes + sizeof(*fiber));
#endif
#if defined(PIRN_VALGRIND)
	VALGRIND_STACK_DEREGISTER(fiber->valgrind);
#endif
#if defined(__SANITIZE_THREAD__)
	if (fiber->tsan)
		__tsan_destroy_fiber(fiber->tsan);
	fiber->tsan = NULL;
#endif
}

/* A core is not heap memory, and points to some that is nowhere else known. */
static inline void san_core_made(struct pirn_core *core)
{
	(void)core;
#if defined(__SANITIZE_ADDRESS__)
	__lsan_register_root_region(core, sizeof(*core));
#endif
}

static inline void san_core_gone(struct pirn_core *core)
{
	(void)core;
#if defined(__SANITIZE_ADDRESS__)
	__lsan_unregister_root_region(core, sizeof(*core));
#endif
}

/*
 * Where the thread stands in @frame while it runs fibers: a leak checker that
 * looks from a fiber takes that for the thread's stack.  NULL: it is back.
 */
static inline void san_thread_below(const void *frame, struct pirn_region *region)
{
	(void)frame;
	(void)region;
#if defined(__SANITIZE_ADDRESS__)
	pthread_attr_t attr;
	void *low;
	size_t bytes;

	if (!frame) {
		if (region->bytes)
			__lsan_unregister_root_region(region->low,
						      region->bytes);
		return;
	}
	region->bytes = 0;
	if (pthread_getattr_np(pthread_self(), &attr))
		return;
	if (!pthread_attr_getstack(&attr, &low, &bytes)) {
		region->low = frame;
		region->bytes = (size_t)((char *)low + bytes -
					 (const char *)frame);
		__lsan_register_root_region(region->low, region->bytes);
	}
	pthread_attr_destroy(&attr);
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
