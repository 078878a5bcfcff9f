/* SPDX-License-Identifier: MIT */
/*
 * What the objects of <pirn/sync.h> and <pirn/fifo.h> share.
 *
 * All follow one pattern: whoever gives something up decides at once who gets
 * it, records that in the object, and ends that wait.  A woken fiber finds
 * itself served and looks at nothing again.  So there is no barging, no wait
 * that is woken for nothing, and a wait that ended early never had anything.
 */
#ifndef PIRN_SYNC_INTERNAL_H
#define PIRN_SYNC_INTERNAL_H

#include <pirn/fifo.h>
#include <pirn/sync.h>

#include "lib.h"
#include "wait.h"

/* The current core is not (yet) the object's: makes it so, or says why not. */
int pirn_sync_bind(struct pirn_core *core, struct pirn_core **bound);

/* Whether an object may be used by this fiber; sets @core. */
static inline int pirn_sync_enter(struct pirn_core **core,
				  struct pirn_core **bound)
{
	*core = pirn_this();
	if (likely(*core && *bound == *core))
		return 0;
	return pirn_sync_bind(*core, bound);
}

/*
 * The same where nothing but a yes counts, for a call's short way.  All else of
 * it is a function of its own, slow, so that the short way saves no registers.
 */
static inline struct pirn_core *pirn_sync_mine(struct pirn_core *bound)
{
	struct pirn_core *core = pirn_this();

	return likely(core == bound) ? core : NULL;
}

#define pirn_slow	__attribute__((noinline))

/*
 * For whoever changes something before it waits: why it may not, or 0, and then
 * pirn_wait_until() will not refuse either.
 */
static inline int pirn_sync_refused(struct pirn_core *core, uint64_t deadline)
{
	int err;

	if (deadline == PIRN_TRY)
		return pirn_fail_plain(core, -EAGAIN);
	if (likely(!core->current->scope))
		return 0;
	err = pirn_wait_refused(core->current);
	return err ? pirn_fail_plain(core, err) : 0;
}

/*
 * As pirn_wait_until() in the fiber's own record, with PIRN_TRY.  @object is for
 * @left.  To be called last: see wait.h.
 */
static inline int pirn_sync_wait_named(struct pirn_core *core,
				       const char *doing,
				       struct pirn_waiters *in, void *object,
				       void (*left)(struct pirn_core *core,
						    struct pirn_wait *wait),
				       uint64_t deadline)
{
	struct pirn_wait *wait = &core->current->own;

	if (deadline == PIRN_TRY)
		return pirn_fail_plain(core, -EAGAIN);
	wait->object = object;
	return pirn_wait_named(core, doing, in, wait, left, deadline);
}

#define pirn_sync_wait(core, ...) \
	pirn_sync_wait_named(core, __func__, __VA_ARGS__)

/* Ends every wait in a queue. */
static inline void pirn_sync_end_all(struct pirn_core *core,
				     struct pirn_waiters *waiters, int result)
{
	while (waiters->first)
		pirn_wait_end(core, waiters->first, result);
}

/* What every destroy is: nobody uses it, and no core owns it any more. */
int pirn_sync_destroy(struct pirn_core **bound, bool busy);

/* ------------------------------------------------- select.c and its objects */

/*
 * What select can wait for has, in its queue, waits of fibers that wait for this
 * alone, and places of selects, which are no waits: who has one has others, and
 * stopped in ->whole.
 */

/* One thing of a select has been done: it leaves every other queue. */
void pirn_select_done(struct pirn_core *core, struct pirn_wait *place,
		      int result);

static inline void pirn_place_end(struct pirn_core *core,
				  struct pirn_wait *place, int result)
{
	if (unlikely(place->whole))
		pirn_select_done(core, place, result);
	else
		pirn_wait_end(core, place, result);
}

/* Waits for one thing alone. */
static inline int pirn_place_wait(struct pirn_core *core,
				  struct pirn_waiters *in, void *item,
				  uint64_t deadline)
{
	struct pirn_wait *wait = &core->current->own;

	wait->item = item;
	wait->whole = NULL;
	return pirn_sync_wait(core, in, NULL, NULL, deadline);
}

/*
 * Whether it can be done now, and doing it then.  What ready() says of an
 * object holds until the next call on it: nothing else runs meanwhile.
 */
int pirn_event_enter(struct pirn_core **core, struct pirn_event *event);
static inline bool pirn_event_ready(const struct pirn_event *event)
{
	return event->set;
}
int pirn_event_take(struct pirn_event *event);

int pirn_future_enter(struct pirn_core **core, struct pirn_future *future);
static inline bool pirn_future_ready(const struct pirn_future *future)
{
	return future->set;
}
int pirn_future_take(const struct pirn_future *future, int64_t *value);

/* The parameters are looked at on first use. */
int pirn_fifo_enter(struct pirn_core **core, struct pirn_fifo *fifo);
static inline bool pirn_fifo_can_send(const struct pirn_fifo *fifo)
{
	return fifo->count < fifo->capacity || fifo->closed;
}
int pirn_fifo_put(struct pirn_core *core, struct pirn_fifo *fifo,
		  const void *item);
static inline bool pirn_fifo_can_receive(const struct pirn_fifo *fifo)
{
	return fifo->count || fifo->closed;
}
int pirn_fifo_take(struct pirn_core *core, struct pirn_fifo *fifo, void *item);

#endif /* PIRN_SYNC_INTERNAL_H */
