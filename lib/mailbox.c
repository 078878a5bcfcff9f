// SPDX-License-Identifier: MIT
/*
 * Mailboxes: a ring of messages of one line each for every ordered pair of
 * cores, with a single producer and a single consumer, the sequence word inside
 * the message's own line, so that one line moves between the cores for a
 * message.  The consumer shows how far it has taken messages out in a line of
 * its own, which the producer reads only when the ring looks full.
 *
 *   sender (core A)                        receiver (core B)
 *
 *   load taken, acquire; tail - taken <    load seq of message `head`, acquire
 *   entries: there is room      (E)        (B) equal to head + 1: read it
 *   write the message's fields             store taken = head, release     (F)
 *   (A) store seq = tail + 1, release      ...
 *   (C) full fence                         (D) store sleeping, full fence
 *   load B's sleeping; if set, wake B      look at every ring again; if
 *                                          nothing is there, sleep
 *
 *   (A) pairs with (B): without them B reads a message half written.
 *   (E) pairs with (F): without them A overwrites a message B still reads.
 *   (C) pairs with (D), which is in host.c: without either, A's store of seq
 *   and B's of sleeping may both still sit in store buffers while each loads
 *   the other's old value: A does not wake B, B sleeps, and the message is
 *   never seen.  The same pair, the other way round, covers a sender that
 *   sleeps because it may not send (PIRN_SLEEPS_STUCK): B stores taken, or
 *   ended, fences, looks at A's sleeping.
 *
 * (C) is at the end of the turn, once for all that the turn sent.  A sender that
 * happens to see the receiver asleep ends its turn early, so that the wake does
 * not wait for fibers that are in no hurry.  That look has no barrier and needs
 * none: one at (C) always follows.
 *
 * Taking a message out of a ring never waits for anything; message.c says why
 * no calls can then wait for each other for ever.
 */
#include <sys/mman.h>

#include "backend.h"
#include "lib.h"
#include "mailbox.h"
#include "schedule.h"
#include "wait.h"

/* How many messages ahead of the one being read a line is asked for. */
#define AHEAD 4

static uint32_t ring_entries(const struct pirn_runtime *rt)
{
	return rt->mailbox_mask + 1;
}

/* A line more than it holds, so that equal places of rings do not share a set. */
static size_t ring_bytes(const struct pirn_runtime *rt)
{
	return (ring_entries(rt) + 1) * sizeof(struct pirn_message);
}

/* Of all rings into one core; the places of delayed posts are behind them. */
static size_t map_bytes(const struct pirn_runtime *rt)
{
	return (ring_bytes(rt) +
		ring_entries(rt) * sizeof(struct pirn_delayed)) * rt->cores;
}

/* All that comes into one core lies in one mapping. */
int pirn_mailboxes_start(struct pirn_runtime *rt)
{
	size_t bytes;

	while (ring_entries(rt) < rt->opt.call_depth)
		rt->mailbox_mask += ring_entries(rt);
	bytes = ring_bytes(rt);
	for (uint32_t to = 0; to < rt->cores; to++) {
		struct pirn_core *core = rt->core[to];
		struct pirn_delayed *delayed;
		char *rings = mmap(NULL, map_bytes(rt), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);

		if (rings == MAP_FAILED)
			return -ENOMEM;
		delayed = (void *)(rings + bytes * rt->cores);
		for (uint32_t from = 0; from < rt->cores; from++) {
			struct pirn_outbox *out = &rt->core[from]->out[to];

			core->in[from].ring = (void *)(rings + from * bytes);
			core->in[from].delayed = delayed +
						 from * ring_entries(rt);
			out->ring = core->in[from].ring;
			out->inbox = &core->in[from];
			out->sleeping = &core->sleeping;
		}
	}
	return 0;
}

/* By the receiver's thread, before any sender's: the pages are on its node. */
void pirn_mailboxes_touch(struct pirn_core *core)
{
	memset(core->in[0].ring, 0, map_bytes(core->rt));
}

void pirn_mailboxes_stop(struct pirn_runtime *rt)
{
	for (uint32_t to = 0; to < rt->cores; to++) {
		struct pirn_core *core = rt->core[to];

		if (core && core->in && core->in[0].ring)
			munmap(core->in[0].ring, map_bytes(rt));
	}
}

/* ------------------------------------------------------------------- send */

static bool has_room(const struct pirn_core *core, struct pirn_outbox *out)
{
	uint32_t end = out->tail + out->promised;

	if (likely(end - out->taken < core->rt->opt.call_depth))
		return true;
	/* (E) */
	out->taken = atomic_load_explicit(&out->inbox->taken,
					  memory_order_acquire);
	return end - out->taken < core->rt->opt.call_depth;
}

void pirn_mailbox_send(struct pirn_core *core, struct pirn_outbox *out,
		       const struct pirn_message *message)
{
	uint32_t mask = core->rt->mailbox_mask;
	struct pirn_message *slot = &out->ring[out->tail & mask];

	slot->kind = message->kind;
	slot->result = message->result;
	slot->error = message->error;
	slot->fn = message->fn;
	slot->arg = message->arg;
	slot->call = message->call;
	slot->deadline = message->deadline;
	out->tail++;
	/* (A) */
	atomic_store_explicit(&slot->seq, out->tail, memory_order_release);
	out->dirty = true;
	pirn_mailbox_touch(core, (uint32_t)(out - core->out));
	if (unlikely(atomic_load_explicit(out->sleeping,
					  memory_order_relaxed)) &&
	    core->budget > 0)
		core->budget = 0;
}

static void send_reply(struct pirn_core *core, struct pirn_outbox *out,
		       struct pirn_call *call, int result, int error)
{
	struct pirn_message reply = {
		.kind = PIRN_MESSAGE_REPLY, .call = call,
		.result = result, .error = error,
	};

	pirn_mailbox_send(core, out, &reply);
}

void pirn_call_reply(struct pirn_core *core, uint32_t to, struct pirn_call *call,
		     int result, int error)
{
	struct pirn_outbox *out = &core->out[to];

	if (likely(!out->replies && has_room(core, out))) {
		send_reply(core, out, call, result, error);
		return;
	}
	call->result = result;
	call->error = error;
	call->next = NULL;
	if (out->replies)
		out->replies_last->next = call;
	else
		out->replies = call;
	out->replies_last = call;
	pirn_mailbox_touch(core, to);
}

static void send_cancel(struct pirn_core *core, struct pirn_call *call,
			int error)
{
	struct pirn_message cancel = {
		.kind = PIRN_MESSAGE_CANCEL, .call = call, .error = error,
	};

	pirn_mailbox_send(core, &core->out[call->to], &cancel);
}

/* One that waits for room leaves the list: sent, or not needed any more. */
static void cancel_forget(struct pirn_core *core, struct pirn_call *call)
{
	struct pirn_outbox *out = &core->out[call->to];

	if (call->cancel_prev)
		call->cancel_prev->cancel_next = call->cancel_next;
	else
		out->cancels = call->cancel_next;
	if (call->cancel_next)
		call->cancel_next->cancel_prev = call->cancel_prev;
	else
		out->cancels_last = call->cancel_prev;
	call->cancel_error = 0;
}

void pirn_call_cancel(struct pirn_core *core, struct pirn_call *call, int error)
{
	struct pirn_outbox *out = &core->out[call->to];

	if (call->cancel_error)
		return;		/* of a scope further in, and not sent yet */
	if (!out->replies && !out->cancels && has_room(core, out)) {
		send_cancel(core, call, error);
		return;
	}
	call->cancel_error = error;
	call->cancel_next = NULL;
	call->cancel_prev = out->cancels_last;
	if (out->cancels_last)
		out->cancels_last->cancel_next = call;
	else
		out->cancels = call;
	out->cancels_last = call;
	pirn_mailbox_touch(core, call->to);
}

void pirn_calls_forget(struct pirn_core *core)
{
	struct pirn_call *call = core->current->calling;

	for (; call; call = call->calling)
		if (call->cancel_error)
			cancel_forget(core, call);
}

int pirn_mailbox_wait(struct pirn_core *core, struct pirn_outbox *out)
{
	struct pirn_wait wait;
	int err;

	if (likely(!out->replies && !out->cancels && !out->waiting.first &&
		   has_room(core, out)))
		return 0;
	core->stats.calls_parked++;
	pirn_mailbox_touch(core, (uint32_t)(out - core->out));
	err = pirn_wait_named(core, "a message that waits for room (call_depth)",
			      &out->waiting, &wait, NULL, UINT64_MAX);
	if (!err)
		out->promised--;
	return err;
}

/* What found no room goes first: replies, CANCELs, calls, in their order. */
static void outbox_retry(struct pirn_core *core, struct pirn_outbox *out)
{
	while (out->replies && has_room(core, out)) {
		struct pirn_call *call = out->replies;

		/* Once sent it is the caller's again. */
		out->replies = call->next;
		send_reply(core, out, call, call->result, call->error);
	}
	while (!out->replies && out->cancels && has_room(core, out)) {
		struct pirn_call *call = out->cancels;
		int error = call->cancel_error;

		cancel_forget(core, call);
		send_cancel(core, call, error);
	}
	/* Each sends when it runs; its place is kept until then. */
	while (!out->replies && !out->cancels && out->waiting.first &&
	       has_room(core, out)) {
		out->promised++;
		pirn_wait_end(core, out->waiting.first, 0);
	}
	if (out->window.first)
		pirn_window_retry(core, out);
}

/* The mailbox of the lowest bit in word @w of core->touched. */
static struct pirn_outbox *out_of_bit(struct pirn_core *core, uint32_t w,
				      uint64_t bits)
{
	return &core->out[64 * w + (uint32_t)__builtin_ctzll(bits)];
}

static bool holds_back(const struct pirn_outbox *out)
{
	return out->replies || out->cancels || out->waiting.first ||
	       out->window.first;
}

/* ---------------------------------------------------------------- receive */

/* Whether there is a message to take. */
static inline bool inbox_full(const struct pirn_inbox *in, uint32_t mask)
{
	/* (B) */
	return atomic_load_explicit(&in->ring[in->head & mask].seq,
				    memory_order_acquire) == in->head + 1;
}

/* Called when there is a message: most turns of most cores find none. */
static __attribute__((noinline)) void
inbox_receive(struct pirn_core *core, struct pirn_inbox *in, uint32_t mask)
{
	uint32_t first = in->head;

	while (in->head - first < PIRN_TURN_MESSAGES) {
		struct pirn_message *slot = &in->ring[in->head & mask];

		if (!inbox_full(in, mask))
			break;
		/* A message that has one behind it is seldom the last. */
		if (in->head != first)
			__builtin_prefetch(&in->ring[(in->head + AHEAD) & mask]);
		in->head++;
		pirn_message_receive(core, in, slot);
	}
	/* (F) */
	atomic_store_explicit(&in->taken, in->head, memory_order_release);
	in->moved = true;
	pirn_mailbox_touch(core, (uint32_t)(in - core->in));
}

void pirn_messages_receive(struct pirn_core *core)
{
	uint32_t mask = core->rt->mailbox_mask;
	struct pirn_inbox *in = core->in, *end = in + core->rt->cores;

	if (unlikely(core->delayed) && pirn_fiber_to_be_had(core))
		pirn_delayed_begin(core);
	for (; in < end; in++)
		if (unlikely(inbox_full(in, mask)))
			inbox_receive(core, in, mask);
}

/* After pirn_messages_flush() only those are touched that hold something back. */
static bool may_go_on(struct pirn_core *core, struct pirn_outbox *out)
{
	if ((out->replies || out->cancels || out->waiting.first) &&
	    has_room(core, out))
		return true;
	return out->window.first && pirn_window_open(core, out);
}

static __attribute__((noinline)) bool any_may_go_on(struct pirn_core *core)
{
	for (uint32_t words = core->touched_words; words; words &= words - 1) {
		uint32_t w = (uint32_t)__builtin_ctz(words);

		for (uint64_t bits = core->touched[w]; bits; bits &= bits - 1)
			if (may_go_on(core, out_of_bit(core, w, bits)))
				return true;
	}
	return false;
}

bool pirn_messages_ready(struct pirn_core *core)
{
	uint32_t mask = core->rt->mailbox_mask;
	const struct pirn_inbox *in = core->in, *end = in + core->rt->cores;

	for (; in < end; in++)
		if (unlikely(inbox_full(in, mask)))
			return true;
	if (unlikely(core->touched_words) && any_may_go_on(core))
		return true;
	return unlikely(core->delayed) && pirn_fiber_to_be_had(core);
}

/* ------------------------------------------------------------------- wake */

/* Wakes a core if it sleeps and waits for what this one did. */
static void wake_if(struct pirn_core *core, struct pirn_core *other,
		    bool message)
{
	uint32_t how = atomic_load_explicit(&other->sleeping,
					    memory_order_relaxed);

	if (how == PIRN_SLEEPS_STUCK || (how == PIRN_SLEEPS && message)) {
		/* Of several that would wake it only one does. */
		if (atomic_exchange_explicit(&other->sleeping, PIRN_AWAKE,
					     memory_order_relaxed))
			core->ops->wake(other);
	}
}

/* One mailbox: both ways. */
static void mailbox_flush(struct pirn_core *core, struct pirn_outbox *out,
			  bool *fenced)
{
	uint32_t i = (uint32_t)(out - core->out);
	struct pirn_inbox *in = &core->in[i];
	bool sent = out->dirty;

	if (!sent && !in->moved)
		return;
	out->dirty = false;
	in->moved = false;
	if (i == core->index)
		return;
	if (!*fenced) {
		/* (C) */
		pirn_full_fence();
		*fenced = true;
	}
	wake_if(core, core->rt->core[i], sent);
}

/* The mailboxes of one word of core->touched. */
static void word_flush(struct pirn_core *core, uint32_t w, bool *fenced)
{
	uint64_t bits = core->touched[w], held = 0;

	for (; bits; bits &= bits - 1) {
		struct pirn_outbox *out = out_of_bit(core, w, bits);

		if (unlikely(holds_back(out))) {
			outbox_retry(core, out);
			if (holds_back(out))
				held |= bits & -bits;
		}
		mailbox_flush(core, out, fenced);
	}
	core->touched[w] = held;
	if (!held)
		core->touched_words &= ~(1u << w);
}

/*
 * pirn_messages_flush() that has something to do: what found no room before is
 * tried again, and the cores that sleep on what this turn sent or took out are
 * woken.  Only those mailboxes stay touched that still hold something back.
 */
void pirn_mailboxes_flush(struct pirn_core *core)
{
	bool fenced = false;

	for (uint32_t words = core->touched_words; words; words &= words - 1)
		word_flush(core, (uint32_t)__builtin_ctz(words), &fenced);
}
