/* SPDX-License-Identifier: MIT */
/*
 * What the switch knows of the machine: how a new stack looks, how a loop that
 * waits pauses, and the words that control floating point.  The switch itself
 * is switch_x86_64.S or switch_aarch64.S.
 */
#ifndef PIRN_SWITCH_H
#define PIRN_SWITCH_H

#include "lib.h"

/*
 * Saves and loads the callee-saved registers; when somebody switches back to
 * save_sp it returns what that one gave as @woken.
 */
int pirn_switch(void **save_sp, void *load_sp, int woken);
/* Where the first switch to a stack lands. */
void pirn_fiber_start(void);

/*
 * Lays out below @top, a multiple of 16, what pirn_switch() loads; the first
 * switch to what this returns calls entry(fiber), which must not return.
 */
static inline void *pirn_switch_prepare(void *top,
					void (*entry)(struct pirn_fiber *),
					struct pirn_fiber *fiber)
{
	uintptr_t *sp = top;

#if defined(__x86_64__)
	*--sp = 0;		/* keeps the call in pirn_fiber_start aligned */
	*--sp = 0;
	*--sp = (uintptr_t)pirn_fiber_start;
	*--sp = 0;				/* rbp */
	*--sp = (uintptr_t)entry;		/* rbx */
	*--sp = (uintptr_t)fiber;		/* r12 */
	*--sp = 0;
	*--sp = 0;
	*--sp = 0;
#elif defined(__aarch64__)
	sp -= 20;
	memset(sp, 0, 20 * sizeof(*sp));
	sp[1] = (uintptr_t)pirn_fiber_start;	/* x30 */
	sp[2] = (uintptr_t)entry;		/* x19 */
	sp[3] = (uintptr_t)fiber;		/* x20 */
#else
#error "libpirn has a switch for x86-64 and aarch64 only"
#endif
	return sp;
}

static inline void pirn_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("isb" ::: "memory");	/* yield does nothing on most */
#endif
}

/* Rounding, masks of exceptions, flush to zero. */
static inline void pirn_fp_save(struct pirn_fp *fp)
{
#if defined(__x86_64__)
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1"
			 : "=m"(fp->control), "=m"(fp->x87));
#else
	uint64_t fpcr;

	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	fp->control = (uint32_t)fpcr;
#endif
}

/* The clobber keeps memory accesses, not arithmetic, on their side of it. */
static inline void pirn_fp_load(const struct pirn_fp *fp)
{
#if defined(__x86_64__)
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1"
			 : : "m"(fp->control), "m"(fp->x87) : "memory");
#else
	__asm__ volatile("msr fpcr, %0"
			 : : "r"((uint64_t)fp->control) : "memory");
#endif
}

#endif /* PIRN_SWITCH_H */
