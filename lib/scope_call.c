// SPDX-License-Identifier: MIT
/*
 * Scopes over pirn_call(): what the callee's core does.
 *
 * A call from inside a scope takes its deadline along in the message, and is
 * served inside a scope of its own (fiber->serving) with that deadline.  When the
 * caller's scope ends while the call is out, a CANCEL follows.  It asks; the
 * reply is the end of a call with or without it, and they may cross:
 *
 *   caller's core (A)                      callee's core (B)
 *
 *   the fiber sends CALL, stops            takes CALL: a fiber, in the table
 *   its scope ends: CANCEL                     under the call's name
 *   the reply comes: the fiber runs,       the fiber ends: out of the table,
 *       takes a CANCEL that found no           then the reply
 *       room out of its list, returns      takes CANCEL: looks in the table
 *   another call of the same name: CALL    takes CALL: in the table again
 *
 *   The name of a call is the address of its struct pirn_call, which lies on the
 *   caller's stack until the caller has run after the reply.  B compares that
 *   address and never looks at what is there, so a CANCEL that comes after the
 *   end of the call touches nothing: it finds no entry.  It cannot find a later
 *   call of the same name either: that CALL is sent after the caller ran, so
 *   after the CANCEL, and one ring carries both, first in first out.  A CANCEL
 *   that waits for room would be an exception, so it waits in a list of A's own
 *   and leaves it before the caller goes on.
 *   Without the name leaving the table before the reply is sent, B could take a
 *   fiber that has ended, or the next one on its stack, for the callee.
 */
#include "lib.h"
#include "scope.h"

/* Names are addresses of stack frames: what differs is in the middle. */
static struct pirn_fiber **bucket_of(struct pirn_core *core,
				     const struct pirn_call *call)
{
	uint64_t hash = (uint64_t)(uintptr_t)call * 0x9e3779b97f4a7c15;

	return &core->serving[hash >> 32 & (ARRAY_SIZE(core->serving) - 1)];
}

void pirn_scope_serve(struct pirn_core *core, struct pirn_fiber *fiber,
		      uint64_t deadline)
{
	struct pirn_fiber **bucket = bucket_of(core, fiber->call);

	/* Served for a scope, it is in the list of none: its links are free. */
	fiber->scope_prev = NULL;
	fiber->scope_next = *bucket;
	if (*bucket)
		(*bucket)->scope_prev = fiber;
	*bucket = fiber;
	pirn_scope_enter(core, &fiber->serving, fiber, deadline);
}

void pirn_scope_serve_ended(struct pirn_core *core, struct pirn_fiber *fiber)
{
	if (fiber->scope_prev)
		fiber->scope_prev->scope_next = fiber->scope_next;
	else
		*bucket_of(core, fiber->call) = fiber->scope_next;
	if (fiber->scope_next)
		fiber->scope_next->scope_prev = fiber->scope_prev;
	pirn_scope_exit(&fiber->serving);
}

void pirn_scope_serve_fail(struct pirn_core *core, const struct pirn_call *call,
			   int error)
{
	struct pirn_fiber *fiber = *bucket_of(core, call);

	while (fiber && fiber->call != call)
		fiber = fiber->scope_next;
	if (fiber)
		pirn_scope_fail(core, &fiber->serving, error);
}
