// SPDX-License-Identifier: MIT
/* Event and future: what happens once, and fibers or selects wait for. */
#include "lib.h"
#include "sync.h"
#include "wait.h"

_Static_assert(sizeof(struct pirn_event) == 48 &&
	       sizeof(struct pirn_future) == 48, "sizes are ABI");

/* ----------------------------------------------------------------- event */

int pirn_event_enter(struct pirn_core **core, struct pirn_event *event)
{
	return pirn_sync_enter(core, &event->core);
}

int pirn_event_take(struct pirn_event *event)
{
	if (event->automatic)
		event->set = false;
	return 0;
}

int pirn_event_wait_until(struct pirn_event *event, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_event_enter(&core, event);

	if (unlikely(err))
		return err;
	if (pirn_event_ready(event))
		return pirn_event_take(event);
	return pirn_place_wait(core, &event->waiters, NULL, deadline);
}

int pirn_event_set(struct pirn_event *event)
{
	struct pirn_core *core;
	int err = pirn_event_enter(&core, event);

	if (unlikely(err))
		return err;
	if (event->automatic && event->waiters.first) {
		/* Passed on to the first; it was not set before. */
		pirn_place_end(core, event->waiters.first, 0);
		return 0;
	}
	event->set = true;
	while (event->waiters.first)
		pirn_place_end(core, event->waiters.first, 0);
	return 0;
}

int pirn_event_clear(struct pirn_event *event)
{
	struct pirn_core *core;
	int err = pirn_event_enter(&core, event);

	if (unlikely(err))
		return err;
	event->set = false;
	return 0;
}

int pirn_event_destroy(struct pirn_event *event)
{
	int err = pirn_sync_destroy(&event->core, event->waiters.first);

	if (!err)
		event->set = false;
	return err;
}

/* ---------------------------------------------------------------- future */

int pirn_future_enter(struct pirn_core **core, struct pirn_future *future)
{
	return pirn_sync_enter(core, &future->core);
}

int pirn_future_take(const struct pirn_future *future, int64_t *value)
{
	if (value)
		*value = future->value;
	return future->error;
}

int pirn_future_set(struct pirn_future *future, int error, int64_t value)
{
	struct pirn_core *core;
	int err = pirn_future_enter(&core, future);

	if (err)
		return err;
	if (future->set)
		return pirn_fail(core, -EALREADY, "the future is set already");
	if (error > 0)
		return pirn_fail(core, -EINVAL,
				 "%d is no negative errno", error);
	future->value = value;
	future->error = error;
	future->set = true;
	while (future->waiters.first) {
		struct pirn_wait *first = future->waiters.first;

		pirn_place_end(core, first,
			       pirn_future_take(future, first->item));
	}
	return 0;
}

int pirn_future_wait_until(struct pirn_future *future, int64_t *value,
			   uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_future_enter(&core, future);

	if (unlikely(err))
		return err;
	if (!pirn_future_ready(future))
		return pirn_place_wait(core, &future->waiters, value, deadline);
	err = pirn_future_take(future, value);
	return err ? pirn_fail_plain(core, err) : 0;
}

int pirn_future_is_set(const struct pirn_future *future)
{
	return pirn_future_ready(future);
}

int pirn_future_destroy(struct pirn_future *future)
{
	int err = pirn_sync_destroy(&future->core, future->waiters.first);

	if (!err)
		future->set = false;
	return err;
}
