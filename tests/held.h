/* SPDX-License-Identifier: MIT */
/*
 * A disk that the test holds: between the library and the backend of this core
 * stands one that keeps ops until it is told how they end, or has no room. It
 * works for one core of one runtime, the one that called hold_begin() first,
 * before it had anything for a helper thread, which looks at core->ops too.
 */
#ifndef PIRN_TESTS_HELD_H
#define PIRN_TESTS_HELD_H

#include "backend.h"
#include "target.h"

static struct {
	struct pirn_backend_ops ops;
	const struct pirn_backend_ops *real;
	struct pirn_core *core;
	bool keep;			/* ops that come from now on */
	bool full;			/* no room for any */
	unsigned int most;		/* nor when so many are kept; 0: no bound */
	bool at_the_end;		/* what is kept ends when the runtime does */
	unsigned int queued;		/* that there was room for */
	struct pirn_op *op[64];		/* kept, in the order they came */
	unsigned int count;
	struct { struct pirn_op *op; int result; } done[64];
	unsigned int done_count;
} held;

/* The first op that is kept ends with @result, when the core looks again. */
static inline void hold_end_first(int result)
{
	check(held.count);
	held.done[held.done_count].op = held.op[0];
	held.done[held.done_count++].result = result;
	held.count--;
	if (simulated())	/* a core of it that sleeps looks at no ready() */
		held.real->wake(held.core);
	memmove(held.op, held.op + 1, held.count * sizeof(held.op[0]));
}

static inline bool hold_queue(struct pirn_core *core, struct pirn_op *op)
{
	if (held.full || (held.most && held.count >= held.most))
		return false;
	if (!held.keep) {
		if (!held.real->queue(core, op))
			return false;
	} else {
		check(held.count < array_size(held.op));
		held.op[held.count++] = op;
	}
	held.queued++;
	return true;
}

static inline void hold_reap(struct pirn_core *core)
{
	unsigned int i;

	while (held.at_the_end && pirn_stopping(core->rt) && held.count)
		hold_end_first(-EIO);
	for (i = 0; i < held.done_count; i++)
		pirn_op_complete(core, held.done[i].op, held.done[i].result);
	held.done_count = 0;
	held.real->reap(core);
}

static inline bool hold_ready(struct pirn_core *core)
{
	return held.done_count || held.real->ready(core);
}

static inline void hold_begin(void)
{
	struct pirn_core *core = pirn_this_core;

	if (held.real)
		return;
	held.core = core;
	held.real = core->ops;
	held.ops = *core->ops;
	held.ops.queue = hold_queue;
	held.ops.queue_join = NULL;	/* one by one, then */
	held.ops.reap = hold_reap;
	held.ops.ready = hold_ready;
	core->ops = &held.ops;
}

__attribute__((warn_unused_result))
static inline struct pirn_file *open_held_target(void)
{
	hold_begin();
	return open_target();
}

static inline void hold_over(void)
{
	check_eq(held.count, 0);
	check_eq(held.done_count, 0);
	held.keep = false;
	held.full = false;
}

#endif /* PIRN_TESTS_HELD_H */
