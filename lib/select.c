// SPDX-License-Identifier: MIT
/*
 * Select: a fiber waits for the first of several things.
 *
 * It stops in one wait of its own that is in no queue, and has a place in the
 * queue of every object it named; the places lie in the caller's cases.  The
 * first object to serve one of them takes all of them out and ends the wait, so
 * no object ever serves a fiber that another has served already; a wait that
 * ends early takes all out too.
 */
#include <limits.h>

#include "lib.h"
#include "sync.h"
#include "wait.h"

_Static_assert(sizeof(struct pirn_select_case) == 160, "sizes are ABI");
_Static_assert(sizeof(struct pirn_wait) <=
	       sizeof(((struct pirn_select_case *)0)->reserved),
	       "a place fits into a case");

static inline struct pirn_wait *place_of(struct pirn_select_case *one)
{
	return (struct pirn_wait *)(void *)one->reserved;
}

/* -------------------------------------------------- one case, by its kind */

/* What the object's own calls would refuse; nothing is done yet. */
static int case_check(struct pirn_core *core, struct pirn_select_case *one)
{
	switch (one->kind) {
	case PIRN_SELECT_NOTHING:
		return 0;
	case PIRN_SELECT_SEND:
	case PIRN_SELECT_RECEIVE:
		return pirn_fifo_enter(&core, one->object);
	case PIRN_SELECT_EVENT:
		return pirn_event_enter(&core, one->object);
	case PIRN_SELECT_FUTURE:
		return pirn_future_enter(&core, one->object);
	default:
		return pirn_fail(core, -EINVAL,
				 "pirn_select: %u is no kind of case",
				 one->kind);
	}
}

static bool case_ready(const struct pirn_select_case *one)
{
	switch (one->kind) {
	case PIRN_SELECT_SEND:
		return pirn_fifo_can_send(one->object);
	case PIRN_SELECT_RECEIVE:
		return pirn_fifo_can_receive(one->object);
	case PIRN_SELECT_EVENT:
		return pirn_event_ready(one->object);
	case PIRN_SELECT_FUTURE:
		return pirn_future_ready(one->object);
	default:
		return false;
	}
}

/* It is ready. */
static int case_take(struct pirn_core *core, struct pirn_select_case *one)
{
	switch (one->kind) {
	case PIRN_SELECT_SEND:
		return pirn_fifo_put(core, one->object, one->item);
	case PIRN_SELECT_RECEIVE:
		return pirn_fifo_take(core, one->object, one->item);
	case PIRN_SELECT_EVENT:
		return pirn_event_take(one->object);
	default:
		return pirn_future_take(one->object, one->item);
	}
}

static struct pirn_waiters *case_queue(struct pirn_select_case *one)
{
	switch (one->kind) {
	case PIRN_SELECT_SEND:
		return &((struct pirn_fifo *)one->object)->senders;
	case PIRN_SELECT_RECEIVE:
		return &((struct pirn_fifo *)one->object)->receivers;
	case PIRN_SELECT_EVENT:
		return &((struct pirn_event *)one->object)->waiters;
	case PIRN_SELECT_FUTURE:
		return &((struct pirn_future *)one->object)->waiters;
	default:
		return NULL;
	}
}

/* ------------------------------------------------------- all cases of one */

/* The select's own wait: item and amount are its cases. */
static void places_take(struct pirn_wait *whole)
{
	struct pirn_select_case *cases = whole->item;

	for (uint64_t i = 0; i < whole->amount; i++) {
		struct pirn_wait *place = place_of(&cases[i]);
		struct pirn_waiters *queue = case_queue(&cases[i]);

		place->in = NULL;
		if (!queue)
			continue;
		place->item = cases[i].item;
		place->whole = whole;
		pirn_waiters_add(queue, place);
	}
}

static void places_leave(struct pirn_wait *whole)
{
	struct pirn_select_case *cases = whole->item;

	for (uint64_t i = 0; i < whole->amount; i++) {
		struct pirn_wait *place = place_of(&cases[i]);

		if (place->in)
			pirn_waiters_remove(place);
	}
}

void pirn_select_done(struct pirn_core *core, struct pirn_wait *place,
		      int result)
{
	struct pirn_wait *whole = place->whole;
	struct pirn_select_case *cases = whole->item;
	struct pirn_select_case *one = container_of((void *)place,
						    struct pirn_select_case,
						    reserved);
	const struct pirn_waiters *in = place->in;

	places_leave(whole);
	one->result = result;
	pirn_wait_end(core, whole, (int)(one - cases));
	/* First in, first out with those that waited for this alone. */
	pirn_came_in_order(whole->fiber, in);
}

static void select_left(struct pirn_core *core, struct pirn_wait *whole)
{
	(void)core;
	places_leave(whole);
}

/* Which of those that are ready, -1: none is. */
static int choose(const struct pirn_select_case *cases, unsigned int n,
		  bool in_order)
{
	unsigned int i, ready = 0, skip = 0;

	for (i = 0; i < n && !(in_order && ready); i++)
		ready += case_ready(&cases[i]);
	if (!ready)
		return -1;
	if (ready > 1)
		skip = (unsigned int)(pirn_random() % ready);
	for (i = 0; !case_ready(&cases[i]) || skip--; i++)
		;
	return (int)i;
}

int pirn_select(struct pirn_select_case *cases, unsigned int n,
		unsigned int flags, uint64_t deadline)
{
	struct pirn_core *core = pirn_this();
	struct pirn_wait *whole;
	int err, i;

	if (!core)
		return -EPERM;
	if (!cases || !n || n > INT_MAX || flags & ~PIRN_SELECT_IN_ORDER)
		return pirn_fail(core, -EINVAL,
				 "pirn_select: %u cases, flags 0x%x", n, flags);
	for (unsigned int k = 0; k < n; k++) {
		err = case_check(core, &cases[k]);
		if (err)
			return err;
	}
	i = choose(cases, n, flags & PIRN_SELECT_IN_ORDER);
	if (i >= 0) {
		cases[i].result = case_take(core, &cases[i]);
		return i;
	}
	err = pirn_sync_refused(core, deadline);
	if (err)
		return err;
	whole = &core->current->own;
	whole->item = cases;
	whole->amount = n;
	places_take(whole);
	return pirn_sync_wait(core, NULL, NULL, select_left, deadline);
}
