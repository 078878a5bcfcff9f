// SPDX-License-Identifier: MIT
/*
 * Fibers: making, ending, and the one way to stop and start being runnable.
 *
 * Stage 3 of a read: a fiber parks after io.c queued its op, and goes on when
 * reactor.c has seen the completion (schedule.h has the inline half).
 *
 * Fibers switch straight to each other; the reactor, itself a fiber on the
 * thread's own stack, runs when none is runnable or the turn's switches are
 * used up.
 */
#include <unistd.h>

#include "backend.h"
#include "lib.h"
#include "mailbox.h"
#include "sanitizer.h"
#include "schedule.h"
#include "scope.h"
#include "switch.h"
#include "wait.h"

__thread struct pirn_core *pirn_this_core;

void pirn_fibers_run(struct pirn_core *core)
{
	struct pirn_fiber *fiber;

	core->budget = core->turn_switches - 1;	/* this switch is one */
	fiber = pirn_queue_pop(&core->runnable);
	if (fiber)
		pirn_switch_to(core, &core->reactor, fiber);
}

/*
 * Floating point of its own (PIRN_FIBER_FP) for some costs the others nothing:
 * while such a fiber runs, the turn's budget is put aside and reads 0, so that
 * every stop of it takes the way that ends a turn, and only there is it asked
 * for.
 */
static void fp_enter(struct pirn_core *core, const struct pirn_fp *mine)
{
	core->fp_budget = core->budget;
	core->budget = 0;
	pirn_fp_save(&core->fp);
	pirn_fp_load(mine);
}

static void fp_leave(struct pirn_core *core)
{
	core->budget = core->fp_budget;
	pirn_fp_load(&core->fp);
}

int pirn_fiber_stop_slow(struct pirn_core *core)
{
	struct pirn_fiber *self = core->current, *next;
	struct pirn_fp mine;
	int woken;

	if (likely(!(self->flags & PIRN_FIBER_FP)))
		return pirn_switch_to(core, self, &core->reactor);
	pirn_fp_save(&mine);
	fp_leave(core);
	next = pirn_fiber_next(core);
	woken = self->woken;
	if (next != self)
		woken = pirn_switch_to(core, self, next);
	fp_enter(core, &mine);
	return woken;
}

/*
 * The fiber's last words.  Its stack goes to the pool while it still runs on
 * it, which is safe because nothing else runs on this core before the switch.
 */
static san_never_returns void fiber_end(struct pirn_core *core, struct pirn_fiber *self)
{
	struct pirn_fiber *next;

	pirn_check_mutexes(self, "ends");
	core->fibers--;
	self->ended = true;
	if (self->serves)
		pirn_served(core, self);
	if (self->joiner.first) {
		/* Its stack is the joiner's to put, who has not run yet. */
		self->detached = true;
		pirn_wait_end(core, self->joiner.first, 0);
	} else if (self->detached) {
		pirn_stack_put(&core->stacks, self);
	}
	if (unlikely(self->flags & PIRN_FIBER_FP))
		fp_leave(core);
	next = pirn_fiber_next(core);
	core->current = next;
	san_switch_start(self, next, true);
	pirn_switch(&self->sp, next->sp, next->woken);
	__builtin_unreachable();
}

static san_never_returns void fiber_main(struct pirn_fiber *self)
{
	san_switch_end(self, true, &self->core->reactor);
	self->result = self->fn(self->arg);
	/* The child of a fork came back: there is no reactor to go on with. */
	if (unlikely(!self->core->live))
		_exit(self->result);
	if (unlikely((uintptr_t)self->scope | (uintptr_t)self->cleanup))
		pirn_fiber_leave(self->core, self, true);
	fiber_end(self->core, self);
}

void pirn_fiber_exit(struct pirn_core *core, struct pirn_fiber *self)
{
	pirn_fiber_leave(core, self, false);
	if (self == core->rt->main_fiber)
		pirn_main_ended(core, self->result);
	san_left_deep(self);
	fiber_end(core, self);
	__builtin_unreachable();
}

/* The same for one with PIRN_FIBER_FP. */
static san_never_returns void fiber_main_fp(struct pirn_fiber *self)
{
	struct pirn_fp start;

	pirn_fp_save(&start);
	fp_enter(self->core, &start);
	fiber_main(self);
}

int pirn_fiber_make(struct pirn_core *core, struct pirn_fiber **out,
		    int (*fn)(void *), void *arg)
{
	struct pirn_fiber *fiber;

	if (unlikely(core->fibers >= core->rt->opt.max_fibers))
		return pirn_fail(core, -EAGAIN,
				 "max_fibers (%u) exist on core %u",
				 core->rt->opt.max_fibers, core->index);
	fiber = pirn_stack_get(&core->stacks);
	if (unlikely(!fiber)) {
		fiber = pirn_stack_get_slow(core);
		if (!fiber)
			return -ENOMEM;
	}
	san_stack_fresh(fiber);
#if defined(PIRN_DEBUG)
	pirn_stack_pattern(core, fiber);
#endif
	fiber->fn = fn;
	fiber->arg = arg;
	fiber->name = NULL;
	fiber->permit = false;
	fiber->detached = false;
	fiber->ended = false;
	fiber->shield = 0;
	fiber->wait = NULL;
	fiber->parked = NULL;
	fiber->joiner = (struct pirn_waiters){ NULL, NULL };
	fiber->scope = NULL;
	fiber->cleanup = NULL;
	fiber->calling = NULL;
	fiber->serves = PIRN_SERVES_NOBODY;
	fiber->nested = core->current->nested;
	fiber->flags = 0;
#if defined(PIRN_WATCHES_MUTEXES)
	fiber->mutexes = 0;
#endif
	fiber->sp = pirn_switch_prepare(fiber, fiber_main, fiber);
	core->fibers++;
	*out = fiber;
	return 0;
}

/* Of an older header they may be shorter; what a newer one adds must be zero. */
static int options_check(struct pirn_core *core,
			 struct pirn_fiber_options *to,
			 const struct pirn_fiber_options *from)
{
	const char *bytes = (const char *)from;
	size_t known;

	memset(to, 0, sizeof(*to));
	if (!from)
		return 0;
	if (from->size < sizeof(from->size) || from->size > 4096)
		return pirn_fail(core, -EINVAL,
				 "pirn_fiber_options.size is %zu: use PIRN_FIBER_OPTIONS_INIT",
				 from->size);
	known = from->size < sizeof(*to) ? from->size : sizeof(*to);
	memcpy(to, from, known);
	for (size_t i = known; i < from->size; i++)
		if (bytes[i])
			return pirn_fail(core, -EINVAL,
					 "an option of the fiber at byte %zu is not known to this library",
					 i);
	if (to->flags & ~PIRN_FIBER_FP || to->reserved)
		return pirn_fail(core, -EINVAL,
				 "pirn_fiber_options.flags has bits that mean nothing: 0x%x",
				 to->flags & ~PIRN_FIBER_FP);
	return 0;
}

int pirn_fiber_make_options(struct pirn_core *core, struct pirn_fiber **fiber,
			    const struct pirn_fiber_options *options,
			    int (*fn)(void *), void *arg)
{
	struct pirn_fiber_options opt;
	int err;

	if (!fn)
		return pirn_fail(core, -EINVAL, "spawn: fn is NULL");
	err = options_check(core, &opt, options);
	if (!err)
		err = pirn_fiber_make(core, fiber, fn, arg);
	if (err)
		return err;
	(*fiber)->name = opt.name;
	(*fiber)->flags = opt.flags;
	if (opt.flags & PIRN_FIBER_FP)
		(*fiber)->sp = pirn_switch_prepare(*fiber, fiber_main_fp,
						   *fiber);
	return 0;
}

/* ---------------------------------------------------------------- public */

int pirn_spawn_options(struct pirn_fiber **out,
		       const struct pirn_fiber_options *options,
		       int (*fn)(void *arg), void *arg)
{
	struct pirn_core *core = pirn_this();
	struct pirn_fiber *fiber;
	int err;

	if (!core)
		return -EPERM;
	err = pirn_fiber_make_options(core, &fiber, options, fn, arg);
	if (err)
		return err;
	fiber->detached = !out;
	if (out)
		*out = fiber;
	pirn_fiber_ready(core, fiber);
	return 0;
}

int pirn_spawn(struct pirn_fiber **out, int (*fn)(void *arg), void *arg)
{
	struct pirn_core *core = pirn_this();
	struct pirn_fiber *fiber;
	int err;

	if (!core)
		return -EPERM;
	if (!fn)
		return pirn_fail(core, -EINVAL, "pirn_spawn: fn is NULL");
	err = pirn_fiber_make(core, &fiber, fn, arg);
	if (err)
		return err;
	fiber->detached = !out;
	if (out)
		*out = fiber;
	pirn_fiber_ready(core, fiber);
	return 0;
}

/* What join, detach and unpark ask of their argument. */
static int check_mine(struct pirn_core *core, const struct pirn_fiber *fiber)
{
	if (!fiber)
		return pirn_fail(core, -EINVAL, "fiber is NULL");
	if (fiber->core != core)
		return pirn_fail(core, -EXDEV,
				 "the fiber belongs to core %u, this is core %u",
				 fiber->core->index, core->index);
	return 0;
}

int pirn_join(struct pirn_fiber *fiber, int *result)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	err = check_mine(core, fiber);
	if (err)
		return err;
	if (fiber == core->current)
		return pirn_fail(core, -EDEADLK, "a fiber cannot join itself");
	if (fiber->detached || fiber->joiner.first)
		return pirn_fail(core, -EINVAL, "the fiber is %s",
				 fiber->joiner.first ? "joined already" :
						       "detached or joined");
	if (!fiber->ended) {
		struct pirn_wait wait;

		err = pirn_wait_until(core, &fiber->joiner, &wait, NULL,
				      UINT64_MAX);
		if (err)
			return err;
	}
	if (result)
		*result = fiber->result;
	fiber->detached = true;
	pirn_stack_put(&core->stacks, fiber);
	return 0;
}

int pirn_detach(struct pirn_fiber *fiber)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	err = check_mine(core, fiber);
	if (err)
		return err;
	if (fiber->detached || fiber->joiner.first)
		return pirn_fail(core, -EINVAL, "the fiber is %s",
				 fiber->joiner.first ? "joined" :
						       "detached or joined already");
	fiber->detached = true;
	if (fiber->ended)
		pirn_stack_put(&core->stacks, fiber);
	return 0;
}

struct pirn_fiber *pirn_self(void)
{
	struct pirn_core *core = pirn_this();

	return core ? core->current : NULL;
}

int pirn_yield(void)
{
	struct pirn_core *core = pirn_this();

	if (unlikely(!core))
		return -EPERM;
	pirn_fiber_ready_as(core, core->current, PIRN_CAME_YIELDED);
	return pirn_fiber_stop(core);
}

int pirn_park(void)
{
	struct pirn_core *core = pirn_this();
	struct pirn_wait wait;
	int err;

	if (!core)
		return -EPERM;
	if (core->current->permit) {
		core->current->permit = false;
		return 0;
	}
	core->current->parked = &wait;
	err = pirn_wait_until(core, NULL, &wait, NULL, UINT64_MAX);
	core->current->parked = NULL;
	return err;
}

int pirn_unpark(struct pirn_fiber *fiber)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	err = check_mine(core, fiber);
	if (err)
		return err;
	if (fiber->wait && fiber->wait == fiber->parked)
		pirn_wait_end(core, fiber->wait, 0);
	else
		fiber->permit = true;
	return 0;
}
