// SPDX-License-Identifier: MIT
/*
 * Scopes: a tree on each core, and what their end does to the fibers inside.
 *
 * A fiber is inside the scope that it was spawned into (or that the call it
 * serves came from: scope_call.c), and inside those it began itself since:
 * fiber->scope is the innermost, scope->outer leads out.  The end of a scope goes
 * down to all inside at once: each has the error itself (scope->error), so that
 * a call that parks looks at one word.  `inner` is the first of the scopes that
 * were begun inside; they are a list through beside_next and beside_prev.
 *
 * One begun inside a shielded section is alone: it knows its way out, but is not
 * in the list, so that nothing from outside gets to it.
 *
 * Only `error` decides what is refused; `result` is what pirn_scope_end() will
 * say, and is set by what was first and made a difference.
 */
#include "lib.h"
#include "mailbox.h"
#include "scope.h"
#include "wait.h"

_Static_assert(sizeof(struct pirn_scope) == 160, "struct pirn_scope is ABI");
_Static_assert(sizeof(struct pirn_timer) ==
	       sizeof(((struct pirn_scope *)0)->timer), "scope->timer");

static struct pirn_timer *timer_of(struct pirn_scope *scope)
{
	return (struct pirn_timer *)(void *)scope->timer;
}

/*
 * Something was refused or cut short: every scope around that has ended did it.
 * One that goes on has none around it that ended.
 */
static void made_a_difference(struct pirn_scope *scope)
{
	for (; scope && scope->error; scope = scope->outer) {
		if (!scope->result)
			scope->result = scope->error;
		if (scope->alone)
			return;
	}
}

int pirn_wait_refused(const struct pirn_fiber *fiber)
{
	struct pirn_scope *scope = fiber->scope;

	if (!scope || !scope->error || fiber->shield)
		return 0;
	made_a_difference(scope);
	return pirn_fail_plain(fiber->core, scope->error);
}

/* ---------------------------------------------------------------- the end */

/* To each fiber once: when its innermost scope ends. */
static void tell(struct pirn_core *core, struct pirn_fiber *fiber,
		 struct pirn_scope *scope)
{
	if (fiber->scope != scope || fiber->shield)
		return;
	if (fiber->wait) {
		pirn_wait_break(core, fiber, scope->error);
		made_a_difference(scope);
	}
	for (struct pirn_call *call = fiber->calling; call; call = call->calling)
		pirn_call_cancel(core, call, scope->error);
}

/* The scope after @scope, those inside first; not those when not @down. */
static struct pirn_scope *walk(struct pirn_scope *root,
			       struct pirn_scope *scope, bool down)
{
	if (down && scope->inner)
		return scope->inner;
	for (; scope != root; scope = scope->outer)
		if (scope->beside_next)
			return scope->beside_next;
	return NULL;
}

/* No fiber runs meanwhile: none comes, goes or begins a scope. */
void pirn_scope_fail(struct pirn_core *core, struct pirn_scope *scope,
		     int error)
{
	struct pirn_scope *s = scope;

	if (scope->error)
		return;
	while (s) {
		bool going_on = !s->error;

		if (going_on) {
			s->error = error;
			for (struct pirn_fiber *f = s->member_first; f;
			     f = f->scope_next)
				tell(core, f, s);
			tell(core, s->owner, s);
		}
		s = walk(scope, s, going_on);
	}
}

static void timed_out(struct pirn_core *core, struct pirn_timer *timer)
{
	pirn_scope_fail(core, container_of(timer, struct pirn_scope,
					   timer), -ETIMEDOUT);
}

/* ----------------------------------------------------------- in and out */

void pirn_scope_enter(struct pirn_core *core, struct pirn_scope *scope,
		      struct pirn_fiber *owner, uint64_t deadline)
{
	struct pirn_scope *outer = owner->scope;

	memset(scope, 0, sizeof(*scope));
	scope->owner = owner;
	scope->outer = outer;
	scope->shield = owner->shield;
	scope->alone = !outer || owner->shield;
	scope->deadline = PIRN_NEVER;
	if (!scope->alone) {
		scope->error = outer->error;
		scope->deadline = outer->deadline;
		scope->beside_next = outer->inner;
		if (outer->inner)
			outer->inner->beside_prev = scope;
		outer->inner = scope;
	}
	owner->shield = 0;
	owner->scope = scope;
	if (deadline >= scope->deadline)
		return;		/* that of a scope around comes first */
	scope->deadline = deadline;
	if (scope->error)
		return;
	if (deadline <= pirn_core_time(core)) {
		scope->error = -ETIMEDOUT;
		return;
	}
	timer_of(scope)->when = deadline;
	timer_of(scope)->fire = timed_out;
	pirn_timer_arm(&core->timers, timer_of(scope));
}

void pirn_scope_exit(struct pirn_scope *scope)
{
	struct pirn_fiber *owner = scope->owner;

	if (pirn_timer_armed(timer_of(scope)))
		pirn_timer_disarm(timer_of(scope));
	if (!scope->alone) {
		if (scope->beside_prev)
			scope->beside_prev->beside_next = scope->beside_next;
		else
			scope->outer->inner = scope->beside_next;
		if (scope->beside_next)
			scope->beside_next->beside_prev = scope->beside_prev;
	}
	owner->scope = scope->outer;
	owner->shield = scope->shield;
	scope->owner = NULL;
}

int pirn_scope_finish(struct pirn_core *core, struct pirn_scope *scope)
{
	struct pirn_fiber *self = core->current;

	if (scope->member_first) {
		struct pirn_wait wait;

		scope->ending = &wait;
		self->shield++;
		pirn_wait_named(core, "pirn_scope_end", NULL, &wait, NULL,
				PIRN_NEVER);
		self->shield--;
	}
	pirn_scope_exit(scope);
	return scope->result;
}

static void member_add(struct pirn_scope *scope, struct pirn_fiber *fiber)
{
	fiber->scope = scope;
	fiber->scope_next = NULL;
	fiber->scope_prev = scope->member_last;
	if (scope->member_last)
		scope->member_last->scope_next = fiber;
	else
		scope->member_first = fiber;
	scope->member_last = fiber;
}

void pirn_scope_member_ended(struct pirn_core *core, struct pirn_fiber *fiber)
{
	struct pirn_scope *scope = fiber->scope;

	if (fiber->scope_prev)
		fiber->scope_prev->scope_next = fiber->scope_next;
	else
		scope->member_first = fiber->scope_next;
	if (fiber->scope_next)
		fiber->scope_next->scope_prev = fiber->scope_prev;
	else
		scope->member_last = fiber->scope_prev;
	fiber->scope = NULL;
	if (fiber->result < 0) {
		if (!scope->result)
			scope->result = fiber->result;
		pirn_scope_fail(core, scope, pirn_scope_told(fiber->result));
	}
	if (!scope->member_first && scope->ending) {
		pirn_wait_end(core, scope->ending, 0);
		scope->ending = NULL;
	}
}

/* ---------------------------------------------------------------- public */

/* Whether the fiber is inside @scope: of its own core, then. */
static bool is_inside(const struct pirn_fiber *fiber,
		      const struct pirn_scope *scope)
{
	for (const struct pirn_scope *s = fiber->scope; s; s = s->outer)
		if (s == scope)
			return true;
	return false;
}

int pirn_scope_begin(struct pirn_scope *scope, uint64_t deadline)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!scope || is_inside(core->current, scope))
		return pirn_fail(core, -EINVAL, "pirn_scope_begin: the scope is %s",
				 scope ? "begun already" : "NULL");
	pirn_scope_enter(core, scope, core->current, deadline);
	return 0;
}

int pirn_scope_spawn_options(struct pirn_scope *scope,
			     const struct pirn_fiber_options *options,
			     int (*fn)(void *arg), void *arg)
{
	struct pirn_core *core = pirn_this();
	struct pirn_fiber *fiber;
	int err;

	if (!core)
		return -EPERM;
	if (!scope || !is_inside(core->current, scope))
		return pirn_fail(core, -EINVAL,
				 "pirn_scope_spawn: the fiber is not inside the scope");
	if (scope->error) {
		made_a_difference(scope);
		return pirn_fail_plain(core, scope->error);
	}
	err = pirn_fiber_make_options(core, &fiber, options, fn, arg);
	if (err)
		return err;
	fiber->detached = true;
	member_add(scope, fiber);
	pirn_fiber_ready(core, fiber);
	return 0;
}

int pirn_scope_spawn(struct pirn_scope *scope, int (*fn)(void *arg), void *arg)
{
	return pirn_scope_spawn_options(scope, NULL, fn, arg);
}

int pirn_scope_cancel(struct pirn_scope *scope, int error)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!scope || !scope->owner || error >= 0)
		return pirn_fail(core, -EINVAL, "pirn_scope_cancel: %s",
				 error >= 0 ? "the error is not negative" :
					      "the scope is not begun");
	if (scope->owner->core != core)
		return pirn_fail(core, -EXDEV,
				 "the scope belongs to core %u, this is core %u",
				 scope->owner->core->index, core->index);
	if (!scope->result)
		scope->result = error;
	pirn_scope_fail(core, scope, pirn_scope_told(error));
	return 0;
}

int pirn_scope_end(struct pirn_scope *scope)
{
	struct pirn_core *core = pirn_this();
	struct pirn_fiber *self;

	if (!core)
		return -EPERM;
	self = core->current;
	if (!scope || scope->owner != self)
		return pirn_fail(core, -EINVAL,
				 "pirn_scope_end: this fiber did not begin the scope, or ended it already");
	if (self->scope != scope)
		return pirn_fail(core, -EDEADLK,
				 "pirn_scope_end: a scope begun inside has not been ended");
	if (self->shield || (self->cleanup && self->cleanup->scope == scope))
		return pirn_fail(core, -EINVAL,
				 "pirn_scope_end: a %s begun inside has not been ended",
				 self->shield ? "shielded section" :
						"cleanup handler");
	return pirn_scope_finish(core, scope);
}

uint64_t pirn_scope_deadline(void)
{
	struct pirn_core *core = pirn_this();
	const struct pirn_fiber *self = core ? core->current : NULL;

	return self && self->scope && !self->shield ? self->scope->deadline :
						      PIRN_NEVER;
}

int pirn_cancelled(void)
{
	struct pirn_core *core = pirn_this();

	return core ? pirn_wait_refused(core->current) : -EPERM;
}

int pirn_shield_begin(void)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	core->current->shield++;
	return 0;
}

int pirn_shield_end(void)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!core->current->shield)
		return pirn_fail(core, -EINVAL,
				 "pirn_shield_end: no shielded section of this scope is open");
	core->current->shield--;
	return 0;
}
