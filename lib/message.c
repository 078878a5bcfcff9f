// SPDX-License-Identifier: MIT
/*
 * Calls and posts: what cores ask of each other through the rings of mailbox.c.
 *
 * No deadlock, whatever calls whom.  Taking a message out of a ring never waits
 * for anything:
 *
 *   a call becomes a fiber, or is refused with a reply;
 *   a reply has its place before its call is sent: the struct pirn_call on the
 *   caller's stack.  One that finds the ring full is kept in a list of those;
 *   a post becomes a fiber, or, when none can be made, is kept in a place of
 *   its own beside the ring.  There are call_depth of them, and a sender does
 *   not send while as many of its posts as that have not become fibers: it is
 *   told -EAGAIN, so it does not wait for the fibers of another core.
 *
 * So every reactor always empties its rings, every ring always gets room, and a
 * fiber that waits for room (parked, in order) gets it, however deep calls nest.
 *
 * call_window bounds what one core has begun on another and not seen the end of.
 * Were every fiber to wait for that, two cores whose windows are full of calls
 * that call back would wait for each other for ever.  So only those wait that
 * are nobody's callee: a fiber made by a message, and all that it spawns, is
 * counted and never kept back.  What a kept back fiber waits for, the end of
 * calls and posts, thus never waits for the window itself.
 */
#include <pirn/message.h>

#include "backend.h"
#include "lib.h"
#include "mailbox.h"
#include "schedule.h"
#include "scope.h"
#include "wait.h"

/* A core without a fiber to end looks again after this long. */
#define STARVED_NS 1000000u

/* ----------------------------------------------------------------- window */

static bool has_window(const struct pirn_core *core)
{
	return unlikely(core->rt->opt.call_window != PIRN_NO_WINDOW);
}

bool pirn_window_open(const struct pirn_core *core, struct pirn_outbox *out)
{
	uint32_t ended = atomic_load_explicit(&out->inbox->ended,
					      memory_order_acquire);

	out->outstanding -= ended - out->ended;
	out->ended = ended;
	return out->outstanding < core->rt->opt.call_window;
}

void pirn_window_retry(struct pirn_core *core, struct pirn_outbox *out)
{
	while (out->window.first && pirn_window_open(core, out)) {
		out->outstanding++;
		pirn_wait_end(core, out->window.first, 0);
	}
}

/* Counts a message as outstanding, when it may be; else parks until then. */
static int window_enter(struct pirn_core *core, struct pirn_outbox *out)
{
	struct pirn_wait wait;

	if (core->current->nested ||
	    (!out->window.first && pirn_window_open(core, out))) {
		out->outstanding++;
		return 0;
	}
	core->stats.calls_parked++;
	pirn_mailbox_touch(core, (uint32_t)(out - core->out));
	return pirn_wait_named(core, "a call that waits (call_window)",
			       &out->window, &wait, NULL, UINT64_MAX);
}

/* Parks until a call or post may go. */
static int may_send(struct pirn_core *core, struct pirn_outbox *out)
{
	int err;

	if (!has_window(core))
		return pirn_mailbox_wait(core, out);
	err = window_enter(core, out);
	if (err)
		return err;
	err = pirn_mailbox_wait(core, out);
	if (err)
		out->outstanding--;
	return err;
}

/* ---------------------------------------------------------------- receive */

static void retry_timer_fired(struct pirn_core *core, struct pirn_timer *timer)
{
	(void)timer;
	core->starved = false;
}

void pirn_starve(struct pirn_core *core, int error)
{
	core->starved = true;
	core->starved_at = core->fibers;
	/* Fibers come from those that end; memory comes from anywhere. */
	if (error == -EAGAIN || pirn_timer_armed(&core->starved_timer))
		return;
	core->starved_timer.when = core->ops->now(core) + STARVED_NS;
	core->starved_timer.fire = retry_timer_fired;
	pirn_timer_arm(&core->timers, &core->starved_timer);
}

static int post_begin(struct pirn_core *core, struct pirn_inbox *in,
		      int (*fn)(void *arg), void *arg)
{
	struct pirn_fiber *fiber;
	int err = pirn_fiber_make(core, &fiber, fn, arg);

	if (unlikely(err)) {
		pirn_starve(core, err);
		return err;
	}
	core->starved = false;
	fiber->detached = true;
	fiber->serves = PIRN_SERVES_POST;
	fiber->from = (uint16_t)(in - core->in);
	fiber->nested = true;
	pirn_fiber_ready(core, fiber);
	pirn_came_in_order(fiber, in);
	/*
	 * Before (F) in mailbox.c: who has seen a post taken sees it begun, or
	 * knows that it is delayed.
	 */
	atomic_store_explicit(&in->begun,
			      atomic_load_explicit(&in->begun,
						   memory_order_relaxed) + 1,
			      memory_order_release);
	return 0;
}

static void receive_post(struct pirn_core *core, struct pirn_inbox *in,
			 int (*fn)(void *arg), void *arg)
{
	struct pirn_delayed *place;

	/* Behind those of the same sender that are delayed. */
	if (likely(in->delayed_head == in->delayed_tail) &&
	    likely(pirn_fiber_to_be_had(core)) &&
	    likely(!post_begin(core, in, fn, arg)))
		return;
	place = &in->delayed[in->delayed_tail++ & core->rt->mailbox_mask];
	place->fn = fn;
	place->arg = arg;
	core->delayed++;
	core->stats.posts_delayed++;
}

/* Each sender in turn, so that none is passed over for ever. */
void pirn_delayed_begin(struct pirn_core *core)
{
	for (uint32_t i = core->delayed_next; core->delayed;
	     i = (i + 1) % core->rt->cores) {
		struct pirn_inbox *in = &core->in[i];
		struct pirn_delayed *place;

		if (in->delayed_head == in->delayed_tail)
			continue;
		place = &in->delayed[in->delayed_head & core->rt->mailbox_mask];
		core->delayed_next = i;
		if (post_begin(core, in, place->fn, place->arg))
			return;
		in->delayed_head++;
		core->delayed--;
	}
}

/* A call has come: a fiber of its own runs it, and replies when it ends. */
static void receive_call(struct pirn_core *core, uint32_t from,
			 const struct pirn_message *message)
{
	struct pirn_fiber *fiber;
	int err = pirn_fiber_make(core, &fiber, message->fn, message->arg);

	if (unlikely(err)) {
		pirn_call_reply(core, from, message->call, 0, err);
		return;
	}
	fiber->detached = true;
	fiber->serves = PIRN_SERVES_CALL;
	fiber->from = (uint16_t)from;
	fiber->nested = true;
	fiber->call = message->call;
	if (message->kind == PIRN_MESSAGE_SCOPE_CALL)
		pirn_scope_serve(core, fiber, message->deadline);
	pirn_fiber_ready(core, fiber);
	pirn_came_in_order(fiber, &core->in[from]);
}

static void receive_reply(struct pirn_core *core,
			  const struct pirn_message *message)
{
	struct pirn_call *call = message->call;

	call->result = message->result;
	call->error = message->error;
	if (likely(!call->replied))
		pirn_fiber_ready(core, call->caller);
	else
		call->replied(core, call);
}

void pirn_message_receive(struct pirn_core *core, struct pirn_inbox *in,
			  const struct pirn_message *message)
{
	uint32_t from = (uint32_t)(in - core->in);

	switch (message->kind) {
	case PIRN_MESSAGE_CALL:
	case PIRN_MESSAGE_SCOPE_CALL:
		receive_call(core, from, message);
		break;
	case PIRN_MESSAGE_CANCEL:
		pirn_scope_serve_fail(core, message->call, message->error);
		break;
	case PIRN_MESSAGE_POST:
		receive_post(core, in, message->fn, message->arg);
		break;
	case PIRN_MESSAGE_INLINE:
		pirn_call_reply(core, from, message->call,
				message->fn(message->arg), 0);
		break;
	case PIRN_MESSAGE_INLINE_POST:
		message->fn(message->arg);
		break;
	case PIRN_MESSAGE_PORT:
		pirn_port_receive_send(core, from, message->arg);
		break;
	default:
		receive_reply(core, message);
		break;
	}
}

void pirn_served(struct pirn_core *core, struct pirn_fiber *fiber)
{
	struct pirn_inbox *in;

	switch (fiber->serves) {
	case PIRN_SERVES_CALL:
		pirn_call_reply(core, fiber->from, fiber->call, fiber->result,
				0);
		break;
	case PIRN_SERVES_POST:
		if (likely(!has_window(core)))
			break;
		in = &core->in[fiber->from];
		atomic_store_explicit(&in->ended,
				      atomic_load_explicit(&in->ended,
							   memory_order_relaxed) + 1,
				      memory_order_release);
		in->moved = true;
		pirn_mailbox_touch(core, fiber->from);
		break;
	default:
		pirn_foreign_served(core, fiber);
		break;
	}
}

/* ------------------------------------------------------------------- send */

/* Why nothing may be sent: the scope of the fiber has ended. */
static int refused(const struct pirn_core *core)
{
	if (likely(!core->current->scope))
		return 0;
	return pirn_wait_refused(core->current);
}

int pirn_call_send(struct pirn_core *core, uint32_t to,
		   struct pirn_message *message, struct pirn_call *call)
{
	struct pirn_outbox *out = &core->out[to];
	struct pirn_fiber *self = core->current;
	int err;

	core->stats.calls_sent++;
	err = refused(core);
	if (!err && message->kind == PIRN_MESSAGE_CALL)
		err = may_send(core, out);
	else if (!err)
		err = pirn_mailbox_wait(core, out);
	if (unlikely(err))
		return err;
	if (message->kind == PIRN_MESSAGE_CALL) {
		/* It may have ended since there was room, before this ran. */
		err = refused(core);
		if (unlikely(err)) {
			out->outstanding--;
			return err;
		}
		call->cancel_error = 0;
		call->to = to;
		call->calling = self->calling;
		self->calling = call;
		if (unlikely(self->scope) && !self->shield) {
			message->kind = PIRN_MESSAGE_SCOPE_CALL;
			message->deadline = self->scope->deadline;
		}
	}
	call->caller = self;
	message->call = call;
	pirn_mailbox_send(core, out, message);
	return 0;
}

int pirn_call_inline(struct pirn_core *core, uint32_t to,
		     int (*fn)(void *arg), void *arg)
{
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_INLINE, .fn = fn, .arg = arg,
	};
	struct pirn_call call = { .replied = NULL };
	int err;

	if (to == core->index)
		return fn(arg);
	/* What the library does for itself is done even in an ended scope. */
	core->current->shield++;
	err = pirn_call_send(core, to, &message, &call);
	core->current->doing = "a short call to another core";
	if (!err)
		pirn_fiber_stop(core);
	core->current->shield--;
	return err ? err : call.result;
}

int pirn_post_inline(struct pirn_core *core, uint32_t to,
		     int (*fn)(void *arg), void *arg)
{
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_INLINE_POST, .fn = fn, .arg = arg,
	};
	struct pirn_outbox *out = &core->out[to];
	int err;

	core->current->shield++;
	err = pirn_mailbox_wait(core, out);
	core->current->shield--;
	if (!err)
		pirn_mailbox_send(core, out, &message);
	return err;
}

/* Whether @to has a place for one more post that it cannot begin. */
static bool has_delay_place(const struct pirn_core *core,
			    struct pirn_outbox *out)
{
	if (likely(out->posts - out->begun < core->rt->opt.call_depth))
		return true;
	out->begun = atomic_load_explicit(&out->inbox->begun,
					  memory_order_acquire);
	return out->posts - out->begun < core->rt->opt.call_depth;
}

/* ---------------------------------------------------------------- public */

/* What every message from a fiber asks of its arguments. */
static int check(struct pirn_core *core, unsigned int to, int (*fn)(void *arg),
		 const char *who)
{
	if (to >= core->rt->cores)
		return pirn_fail(core, -EINVAL, "no core %u: there are %u", to,
				 core->rt->cores);
	if (!fn)
		return pirn_fail(core, -EINVAL, "%s: fn is NULL", who);
	return 0;
}

int pirn_call(unsigned int to, int (*fn)(void *arg), void *arg, int *result)
{
	struct pirn_core *core = pirn_this();
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_CALL, .fn = fn, .arg = arg,
	};
	struct pirn_call call = { .replied = NULL };
	int err;

	if (!core)
		return -EPERM;
	err = check(core, to, fn, "pirn_call");
	if (err)
		return err;
	err = pirn_call_send(core, to, &message, &call);
	if (err)
		return err;
	pirn_fiber_stop(core);
	pirn_calls_over(core);
	core->out[to].outstanding--;
	if (call.error)
		return pirn_fail(core, call.error,
				 "core %u could not make a fiber for the call",
				 to);
	if (result)
		*result = call.result;
	return 0;
}

int pirn_post(unsigned int to, int (*fn)(void *arg), void *arg)
{
	struct pirn_core *core = pirn_this();
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_POST, .fn = fn, .arg = arg,
	};
	struct pirn_outbox *out;
	int err;

	if (!core)
		return -EPERM;
	err = check(core, to, fn, "pirn_post");
	if (err)
		return err;
	out = &core->out[to];
	core->stats.posts_sent++;
	err = refused(core);
	if (!err)
		err = may_send(core, out);
	if (unlikely(err))
		return err;
	/* There is room, so what was posted long ago has been taken. */
	if (unlikely(!has_delay_place(core, out))) {
		out->outstanding--;
		return pirn_fail(core, -EAGAIN,
				 "core %u can make no fiber, and %u posts of core %u wait there",
				 to, core->rt->opt.call_depth, core->index);
	}
	out->posts++;
	pirn_mailbox_send(core, out, &message);
	return 0;
}
