/* SPDX-License-Identifier: MIT */
/* Whether a fiber that stops holds a pthread mutex: see held_mutex.c. */
#ifndef PIRN_HELD_MUTEX_H
#define PIRN_HELD_MUTEX_H

#include "lib.h"

#if defined(PIRN_WATCHES_MUTEXES)
/* Says that @self @what ("parks", "ends") with what it holds; no return. */
_Noreturn void pirn_mutexes_held(struct pirn_fiber *self, const char *what);
#endif

static inline void pirn_check_mutexes(struct pirn_fiber *self, const char *what)
{
#if defined(PIRN_WATCHES_MUTEXES)
	if (unlikely(self->mutexes))
		pirn_mutexes_held(self, what);
#else
	(void)self;
	(void)what;
#endif
}

#endif /* PIRN_HELD_MUTEX_H */
