/* SPDX-License-Identifier: MIT */
/* Scopes inside the library: scope.c, scope_call.c, cleanup.c, left.c. */
#ifndef PIRN_LIB_SCOPE_H
#define PIRN_LIB_SCOPE_H

#include "lib.h"

/* An error as those inside an ended scope are told of it. */
static inline int pirn_scope_told(int error)
{
	return error == -ETIMEDOUT ? -ETIMEDOUT : -ECANCELED;
}

/* The fiber's innermost scope when that lies in its own hands: it began it. */
static inline bool pirn_scope_is_own(const struct pirn_fiber *fiber)
{
	const struct pirn_scope *scope = fiber->scope;

	return scope && scope->owner == fiber && scope != &fiber->serving;
}

/* Zeroes @scope and makes it the innermost of @owner. */
void pirn_scope_enter(struct pirn_core *core, struct pirn_scope *scope,
		      struct pirn_fiber *owner, uint64_t deadline);
/* The reverse, when nobody but its owner is in it. */
void pirn_scope_exit(struct pirn_scope *scope);
/* Ends @scope for those inside: they are told @error. */
void pirn_scope_fail(struct pirn_core *core, struct pirn_scope *scope,
		     int error);
/* Parks until nobody is in @scope but the current fiber, then leaves it. */
int pirn_scope_finish(struct pirn_core *core, struct pirn_scope *scope);
/* A fiber that was spawned into a scope has ended. */
void pirn_scope_member_ended(struct pirn_core *core, struct pirn_fiber *fiber);

/* scope_call.c: a call from inside a scope is served inside one of its own. */
void pirn_scope_serve(struct pirn_core *core, struct pirn_fiber *fiber,
		      uint64_t deadline);
void pirn_scope_serve_ended(struct pirn_core *core, struct pirn_fiber *fiber);
/* The caller's scope has ended: @call only names it, and may be gone. */
void pirn_scope_serve_fail(struct pirn_core *core, const struct pirn_call *call,
			   int error);

/*
 * cleanup.c.  Before a fiber ends, @returned from its function or else inside
 * it: handlers and scopes.  May park.
 */
void pirn_fiber_leave(struct pirn_core *core, struct pirn_fiber *self,
		      bool returned);
/* Runs the handlers of a fiber that is dropped. */
void pirn_cleanup_drop(struct pirn_fiber *fiber);

/* fiber.c: as pirn_fiber_make(), which it calls when @options are right. */
int pirn_fiber_make_options(struct pirn_core *core, struct pirn_fiber **fiber,
			    const struct pirn_fiber_options *options,
			    int (*fn)(void *), void *arg);
/* Ends the current fiber, whose result is set. */
void pirn_fiber_exit(struct pirn_core *core, struct pirn_fiber *self)
	__attribute__((noreturn));
/* runtime.c: the main fiber has ended, and so does the runtime. */
void pirn_main_ended(struct pirn_core *core, int result);
/*
 * stack.c: every fiber of the core that has not ended, in the order of their
 * stacks.
 */
void pirn_fibers_each(struct pirn_core *core,
		      void (*fn)(struct pirn_core *core,
				 struct pirn_fiber *fiber));

/* left.c: a fiber that does not run now; runnable only after the last turn. */
void pirn_fiber_describe(const struct pirn_fiber *fiber,
			 struct pirn_fiber_info *info);
/* left.c: after the last turn of a core, on its own thread: who is left. */
void pirn_left_report(struct pirn_core *core);
/*
 * Runs their handlers: on any thread that is no core, when the IO in flight and
 * helper threads of all cores have ended, before pirn_core_stop().
 */
void pirn_left_drop(struct pirn_core *core);

#endif /* PIRN_LIB_SCOPE_H */
