// SPDX-License-Identifier: MIT
/*
 * Messages: calls from core to core.
 *
 * One mailbox, a ring of messages of one line each, for every ordered pair of
 * cores: a single producer and a single consumer, the sequence word inside the
 * message's own line, so that one line moves between the cores for a message.
 * The consumer shows how far it has taken messages out in a line of its own,
 * which the producer reads only when the ring looks full.
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
 *   (C) pairs with (D): without either, A's store of seq and B's of sleeping
 *   may both still sit in store buffers while each loads the other's old
 *   value: A does not wake B, B sleeps, and the message is never seen.  The
 *   same pair, the other way round, covers a sender that sleeps because a ring
 *   is full (PIRN_SLEEPS_STUCK): B stores taken, fences, looks at A's sleeping.
 *
 * No deadlock, whatever calls whom.  Taking a message out of a ring never waits
 * for anything: a call becomes a fiber or is refused, and the place of a reply
 * is reserved before the call is sent, being the struct pirn_call on the
 * caller's stack: a reply that finds the ring full is kept in a list through
 * those.  So every reactor always empties its rings, every ring always gets
 * room, and a fiber that waits for room (parked, in order) gets it, however
 * deep calls nest.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "backend.h"
#include "lib.h"
#include "schedule.h"
#include "wait.h"

static uint32_t ring_entries(const struct pirn_runtime *rt)
{
	uint32_t entries = 1;

	while (entries < rt->opt.call_depth)
		entries *= 2;
	return entries;
}

static size_t ring_bytes(const struct pirn_runtime *rt)
{
	return ring_entries(rt) * sizeof(struct pirn_message);
}

/* All rings into one core lie in one mapping. */
int pirn_mailboxes_start(struct pirn_runtime *rt)
{
	size_t bytes = ring_bytes(rt);

	for (uint32_t to = 0; to < rt->cores; to++) {
		struct pirn_core *core = rt->core[to];
		char *rings = mmap(NULL, bytes * rt->cores,
				   PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);

		if (rings == MAP_FAILED)
			return -ENOMEM;
		for (uint32_t from = 0; from < rt->cores; from++) {
			struct pirn_outbox *out = &rt->core[from]->out[to];

			core->in[from].ring = (void *)(rings + from * bytes);
			out->ring = core->in[from].ring;
			out->inbox = &core->in[from];
		}
	}
	return 0;
}

/* By the receiver's thread, before any sender's: the pages are on its node. */
void pirn_mailboxes_touch(struct pirn_core *core)
{
	size_t bytes = ring_bytes(core->rt) * core->rt->cores;

	memset(core->in[0].ring, 0, bytes);
}

void pirn_mailboxes_stop(struct pirn_runtime *rt)
{
	for (uint32_t to = 0; to < rt->cores; to++) {
		struct pirn_core *core = rt->core[to];

		if (core && core->in && core->in[0].ring)
			munmap(core->in[0].ring, ring_bytes(rt) * rt->cores);
	}
}

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

/* There is room. */
static void send(struct pirn_core *core, struct pirn_outbox *out,
		 const struct pirn_message *message)
{
	uint32_t mask = ring_entries(core->rt) - 1;
	struct pirn_message *slot = &out->ring[out->tail & mask];

	slot->kind = message->kind;
	slot->result = message->result;
	slot->error = message->error;
	slot->fn = message->fn;
	slot->arg = message->arg;
	slot->call = message->call;
	out->tail++;
	/* (A) */
	atomic_store_explicit(&slot->seq, out->tail, memory_order_release);
	out->dirty = true;
}

static void send_reply(struct pirn_core *core, struct pirn_outbox *out,
		       struct pirn_call *call, int result, int error)
{
	struct pirn_message reply = {
		.kind = PIRN_MESSAGE_REPLY, .call = call,
		.result = result, .error = error,
	};

	send(core, out, &reply);
}

void pirn_call_reply(struct pirn_core *core, struct pirn_call *call, int result,
		     int error)
{
	struct pirn_outbox *out = &core->out[call->from];

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
}

/* What found no room goes first: replies, then calls, in their order. */
static void outbox_retry(struct pirn_core *core, struct pirn_outbox *out)
{
	while (out->replies && has_room(core, out)) {
		struct pirn_call *call = out->replies;

		/* Once sent it is the caller's again. */
		out->replies = call->next;
		send_reply(core, out, call, call->result, call->error);
	}
	/* Each sends when it runs; its place is kept until then. */
	while (!out->replies && out->waiting.first && has_room(core, out)) {
		out->promised++;
		pirn_wait_end(core, out->waiting.first, 0);
	}
}

/* A call has come: a fiber of its own runs it, and replies when it ends. */
static void receive_call(struct pirn_core *core, struct pirn_call *call,
			 int (*fn)(void *arg), void *arg)
{
	struct pirn_fiber *fiber;
	int err = pirn_fiber_make(core, &fiber, fn, arg);

	if (unlikely(err)) {
		pirn_call_reply(core, call, 0, err);
		return;
	}
	fiber->detached = true;
	fiber->call = call;
	pirn_fiber_ready(core, fiber);
}

static void receive(struct pirn_core *core, const struct pirn_message *message)
{
	struct pirn_call *call = message->call;

	switch (message->kind) {
	case PIRN_MESSAGE_CALL:
		receive_call(core, call, message->fn, message->arg);
		break;
	case PIRN_MESSAGE_INLINE:
		pirn_call_reply(core, call, message->fn(message->arg), 0);
		break;
	default:
		call->result = message->result;
		call->error = message->error;
		pirn_fiber_ready(core, call->caller);
		break;
	}
}

void pirn_messages_receive(struct pirn_core *core)
{
	uint32_t mask = ring_entries(core->rt) - 1;

	for (uint32_t from = 0; from < core->rt->cores; from++) {
		struct pirn_inbox *in = &core->in[from];
		struct pirn_message *slot = &in->ring[in->head & mask];
		uint32_t head = in->head;

		/* (B) */
		while (atomic_load_explicit(&slot->seq, memory_order_acquire) ==
		       in->head + 1) {
			in->head++;
			receive(core, slot);
			slot = &in->ring[in->head & mask];
		}
		if (in->head == head)
			continue;
		/* (F) */
		atomic_store_explicit(&in->taken, in->head,
				      memory_order_release);
		in->moved = true;
	}
}

/* Whether something waits for room in a ring that has none. */
bool pirn_mailboxes_stuck(const struct pirn_core *core)
{
	for (uint32_t to = 0; to < core->rt->cores; to++)
		if (core->out[to].replies || core->out[to].waiting.first)
			return true;
	return false;
}

bool pirn_messages_ready(struct pirn_core *core)
{
	uint32_t mask = ring_entries(core->rt) - 1;

	for (uint32_t i = 0; i < core->rt->cores; i++) {
		const struct pirn_inbox *in = &core->in[i];

		if (atomic_load_explicit(&in->ring[in->head & mask].seq,
					 memory_order_acquire) == in->head + 1)
			return true;
		if (unlikely(core->out[i].replies ||
			     core->out[i].waiting.first) &&
		    has_room(core, &core->out[i]))
			return true;
	}
	return false;
}

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

/*
 * The end of a turn: what found no room before is tried again, and the cores
 * that sleep on what this turn sent or took out are woken.
 */
void pirn_messages_flush(struct pirn_core *core)
{
	bool fenced = false;

	for (uint32_t i = 0; i < core->rt->cores; i++) {
		struct pirn_outbox *out = &core->out[i];
		struct pirn_inbox *in = &core->in[i];
		bool sent;

		if (unlikely(out->replies || out->waiting.first))
			outbox_retry(core, out);
		if (!out->dirty && !in->moved)
			continue;
		sent = out->dirty;
		out->dirty = false;
		in->moved = false;
		if (i == core->index)
			continue;
		if (!fenced) {
			/* (C) */
			pirn_full_fence();
			fenced = true;
		}
		wake_if(core, core->rt->core[i], sent);
	}
}

/*
 * Parks until there is room for a message.  An error of the wait: there is none
 * and nothing was sent.
 */
static int wait_for_room(struct pirn_core *core, struct pirn_outbox *out)
{
	struct pirn_wait wait;
	int err;

	if (likely(!out->replies && !out->waiting.first &&
		   has_room(core, out)))
		return 0;
	core->stats.calls_parked++;
	err = pirn_wait_until(core, &out->waiting, &wait, NULL, UINT64_MAX);
	if (!err)
		out->promised--;
	return err;
}

/* Parks until there is room, sends, parks until the reply has come. */
static int call_core(struct pirn_core *core, uint32_t to,
		     struct pirn_message *message, struct pirn_call *call)
{
	struct pirn_outbox *out = &core->out[to];
	int err;

	core->stats.calls_sent++;
	err = wait_for_room(core, out);
	if (unlikely(err))
		return err;
	call->caller = core->current;
	call->from = core->index;
	message->call = call;
	send(core, out, message);
	pirn_fiber_stop(core);
	return 0;
}

int pirn_call_inline(struct pirn_core *core, uint32_t to,
		     int (*fn)(void *arg), void *arg)
{
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_INLINE, .fn = fn, .arg = arg,
	};
	struct pirn_call call;
	int err;

	if (to == core->index)
		return fn(arg);
	/* What the library does for itself is done even in an ended scope. */
	core->current->shield++;
	err = call_core(core, to, &message, &call);
	core->current->shield--;
	return err ? err : call.result;
}

/* ---------------------------------------------------------------- public */

int pirn_call(unsigned int to, int (*fn)(void *arg), void *arg, int *result)
{
	struct pirn_core *core = pirn_this();
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_CALL, .fn = fn, .arg = arg,
	};
	struct pirn_call call;
	int err;

	if (!core)
		return -EPERM;
	if (to >= core->rt->cores)
		return pirn_fail(core, -EINVAL, "no core %u: there are %u", to,
				 core->rt->cores);
	if (!fn)
		return pirn_fail(core, -EINVAL, "pirn_call: fn is NULL");
	err = call_core(core, to, &message, &call);
	if (err)
		return err;
	if (call.error)
		return pirn_fail(core, call.error,
				 "core %u could not make a fiber for the call",
				 to);
	if (result)
		*result = call.result;
	return 0;
}
