/* SPDX-License-Identifier: MIT */
/*
 * Stopping and starting to be runnable, inline: what a call that parks ends in
 * is a jump from one fiber straight to the next.
 */
#ifndef PIRN_SCHEDULE_H
#define PIRN_SCHEDULE_H

#include "lib.h"
#include "held_mutex.h"
#include "sanitizer.h"
#include "switch.h"

/* When somebody switches back: what @from was woken with. */
static inline int pirn_switch_to(struct pirn_core *core,
				 struct pirn_fiber *from, struct pirn_fiber *to)
{
	core->current = to;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	san_switch_start(from, to, false);
	pirn_switch(&from->sp, to->sp, 0);
	san_switch_end(from, false, NULL);
	return from->woken;
#else
	return pirn_switch(&from->sp, to->sp, to->woken);
#endif
}

/* Who runs when the current fiber stops; the reactor when the turn is over. */
static inline struct pirn_fiber *pirn_fiber_next(struct pirn_core *core)
{
	struct pirn_fiber *next = core->runnable.head;

	if (unlikely(!next || --core->budget < 0))
		return &core->reactor;
	core->runnable.head = next->next;
	return next;
}

static inline void pirn_fiber_ready_as(struct pirn_core *core,
				       struct pirn_fiber *fiber,
				       enum pirn_came came)
{
	fiber->came = came;
	fiber->woken = 0;
	pirn_queue_push(&core->runnable, fiber);
}

static inline void pirn_fiber_ready(struct pirn_core *core,
				    struct pirn_fiber *fiber)
{
	pirn_fiber_ready_as(core, fiber, PIRN_CAME);
}

/* It was made runnable in the order of a queue or sender. */
static inline void pirn_came_in_order(struct pirn_fiber *fiber, const void *of)
{
	fiber->came = PIRN_CAME_IN_ORDER;
	fiber->came_of = of;
}

/* Stops the current fiber until pirn_fiber_ready(); the only way to park. */
static inline int pirn_fiber_stop(struct pirn_core *core)
{
	struct pirn_fiber *self = core->current;
	struct pirn_fiber *next = core->runnable.head;

	pirn_check_mutexes(self, "parks");
	/* Always so for a fiber with PIRN_FIBER_FP, which costs others nothing. */
	if (unlikely(!next || --core->budget < 0))
		return pirn_fiber_stop_slow(core);
	core->runnable.head = next->next;
	if (unlikely(next == self))
		return self->woken;
	return pirn_switch_to(core, self, next);
}

#endif /* PIRN_SCHEDULE_H */
