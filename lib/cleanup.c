// SPDX-License-Identifier: MIT
/*
 * What a fiber leaves behind: its cleanup handlers, the scopes it began and did
 * not end, and its place in the scope it was made in.
 */
#include <unistd.h>

#include "lib.h"
#include "scope.h"
#include "wait.h"

/* On the fiber's stack, and not above it: the frame it was in is gone. */
static void check_frame(const struct pirn_fiber *fiber, const void *object,
			const char *what, const char *missing)
{
	uintptr_t at = (uintptr_t)object - (uintptr_t)fiber->stack_low;

	if (at < fiber->stack_bytes)
		pirn_panic("pirn: a fiber (%s, function %p, core %u) returned with a %s in a frame that is gone: %s is missing",
			   fiber->name ? fiber->name : "without a name",
			   (void *)(uintptr_t)fiber->fn, fiber->core->index,
			   what, missing);
}

static void run_last(struct pirn_fiber *fiber)
{
	struct pirn_cleanup *cleanup = fiber->cleanup;

	fiber->cleanup = cleanup->next;
	cleanup->scope = NULL;
	fiber->shield++;
	cleanup->fn(cleanup->arg);
	fiber->shield--;
}

/* Handlers and scopes, the last begun of both first.  Parks. */
static void unwind(struct pirn_core *core, struct pirn_fiber *self,
		   bool returned)
{
	for (;;) {
		struct pirn_cleanup *cleanup = self->cleanup;
		struct pirn_scope *open;

		open = pirn_scope_is_own(self) ? self->scope : NULL;
		if (!cleanup && !open)
			return;
		if (returned && cleanup)
			check_frame(self, cleanup, "cleanup handler",
				    "pirn_cleanup_pop()");
		if (returned && open)
			check_frame(self, open, "scope", "pirn_scope_end()");
		if (cleanup && (!open || cleanup->scope == open)) {
			run_last(self);
		} else {
			pirn_scope_fail(core, open, -ECANCELED);
			pirn_scope_finish(core, open);
		}
	}
}

void pirn_fiber_leave(struct pirn_core *core, struct pirn_fiber *self,
		      bool returned)
{
	unwind(core, self, returned);
	self->shield = 0;
	if (self->scope == &self->serving)
		pirn_scope_serve_ended(core, self);
	else if (self->scope)
		pirn_scope_member_ended(core, self);
}

void pirn_cleanup_drop(struct pirn_fiber *fiber)
{
	while (fiber->cleanup)
		run_last(fiber);
}

/* ---------------------------------------------------------------- public */

int pirn_cleanup_push(struct pirn_cleanup *cleanup, void (*fn)(void *arg),
		      void *arg)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!cleanup || !fn)
		return pirn_fail(core, -EINVAL, "pirn_cleanup_push: %s is NULL",
				 fn ? "cleanup" : "fn");
	memset(cleanup, 0, sizeof(*cleanup));
	cleanup->fn = fn;
	cleanup->arg = arg;
	if (pirn_scope_is_own(core->current))
		cleanup->scope = core->current->scope;
	cleanup->next = core->current->cleanup;
	core->current->cleanup = cleanup;
	return 0;
}

int pirn_cleanup_pop(struct pirn_cleanup *cleanup, int run)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!cleanup || core->current->cleanup != cleanup)
		return pirn_fail(core, -EINVAL,
				 "pirn_cleanup_pop: not the handler pushed last");
	if (run) {
		run_last(core->current);
		return 0;
	}
	core->current->cleanup = cleanup->next;
	cleanup->scope = NULL;
	return 0;
}

int pirn_exit(int result)
{
	struct pirn_core *core = pirn_this();

	if (!core) {
		/* The child of a fork, where a core is all zero, has only this. */
		if (pirn_this_core && !pirn_this_core->rt)
			_exit(result);
		return -EPERM;
	}
	if (core->current == &core->reactor)
		return -EPERM;
	core->current->result = result;
	pirn_fiber_exit(core, core->current);
}
