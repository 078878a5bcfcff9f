/* SPDX-License-Identifier: MIT */
/*
 * The one way to stop a fiber that may be ended early.
 *
 * Whoever has what the fiber waits for calls pirn_wait_end(); its deadline and
 * the end of its scope call pirn_wait_break().  Each first takes the record out
 * of its queue and clears fiber->wait, so that the other finds nothing to end:
 * a wait has exactly one result, and who was given something was not timed out.
 *
 * The result is what the switch back to the fiber returns.  So a call that waits
 * without a deadline, last, and in fiber->own instead of a record in its frame,
 * ends in a jump to the switch, and the fiber goes on in its caller.  That saves
 * more than the frame: every return after a switch is mispredicted, because the
 * processor expects the callers of the fiber that stopped.
 */
#ifndef PIRN_WAIT_H
#define PIRN_WAIT_H

#include "lib.h"
#include "schedule.h"

static inline void pirn_waiters_add(struct pirn_waiters *waiters,
				    struct pirn_wait *wait)
{
	wait->in = waiters;
	wait->next = NULL;
	wait->prev = waiters->last;
	if (waiters->last)
		waiters->last->next = wait;
	else
		waiters->first = wait;
	waiters->last = wait;
}

static inline void pirn_waiters_remove(struct pirn_wait *wait)
{
	struct pirn_waiters *waiters = wait->in;

	if (wait->prev)
		wait->prev->next = wait->next;
	else
		waiters->first = wait->next;
	if (wait->next)
		wait->next->prev = wait->prev;
	else
		waiters->last = wait->prev;
	wait->in = NULL;
}

/* Ends a wait with @result: its fiber is runnable. */
static inline void pirn_wait_end(struct pirn_core *core, struct pirn_wait *wait,
				 int result)
{
	const struct pirn_waiters *in = wait->in;

	if (in)
		pirn_waiters_remove(wait);
	wait->result = result;
	wait->fiber->wait = NULL;
	pirn_fiber_ready(core, wait->fiber);
	wait->fiber->woken = result;
	if (in)
		pirn_came_in_order(wait->fiber, in);
}

/*
 * Stops the current fiber in @in (NULL: in no queue) until somebody ends the
 * wait; returns what it was ended with.  @deadline UINT64_MAX: none.
 * -ETIMEDOUT: the deadline passed; that or -ECANCELED: its scope has ended, at
 * once when it had already.  @left may be NULL.  @doing: the call of the library,
 * for who asks what the fiber is in.
 */
static inline int pirn_wait_named(struct pirn_core *core, const char *doing,
				  struct pirn_waiters *in,
				  struct pirn_wait *wait,
				  void (*left)(struct pirn_core *core,
					       struct pirn_wait *wait),
				  uint64_t deadline)
{
	struct pirn_fiber *self = core->current;

	if (unlikely(self->scope)) {
		int err = pirn_wait_refused(self);

		if (err)
			return err;
	}
	wait->fiber = self;
	wait->left = left;
	wait->in = NULL;
	if (in)
		pirn_waiters_add(in, wait);
	self->wait = wait;
	self->doing = doing;
	if (likely(deadline == UINT64_MAX))
		return pirn_fiber_stop(core);
	wait->timed_out = false;
	wait->timer.when = deadline;
	wait->timer.fire = pirn_wait_timed_out;
	pirn_timer_arm(&core->timers, &wait->timer);
	pirn_fiber_stop(core);
	if (pirn_timer_armed(&wait->timer))
		pirn_timer_disarm(&wait->timer);
	return wait->result;
}

/* The same, where the function that says it is the call. */
#define pirn_wait_until(core, ...) pirn_wait_named(core, __func__, __VA_ARGS__)

#endif /* PIRN_WAIT_H */
