// SPDX-License-Identifier: MIT
/*
 * Messages: calls from core to core.
 *
 * One mailbox, a ring of messages of one line each, for every ordered pair of
 * cores: a single producer and a single consumer, the sequence word inside the
 * message's own line, so that one line moves between the cores for a message.
 *
 *   sender (core A)                        receiver (core B)
 *
 *   write the message's fields             load seq of message `head`, acquire
 *   (A) store seq = tail + 1, release          (B) equal to head + 1: read it
 *   (C) full fence                         (D) store sleeping = 1, full fence
 *   load B's sleeping; if set, wake B      look at every ring again; if
 *                                          nothing is there, sleep
 *
 *   (A) pairs with (B): without them B reads a message half written.
 *   (C) pairs with (D): without either, A's store of seq and B's of sleeping
 *   may both still sit in store buffers while each loads the other's old
 *   value: A does not wake B, B sleeps, and the message is never seen.
 *
 * No ring ever overflows and no core waits for another: a call takes one of
 * call_depth credits to that core and gives it back when the reply has come,
 * so of calls there are at most call_depth under way, and of replies in the
 * other direction as many.  A ring holds twice call_depth.  That is the reply's
 * reserved place: whatever calls whom, a reply can always be sent, so every
 * call that is under way can end, and a fiber that waits for a credit (in
 * order, parked) waits for a call that is under way.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "backend.h"
#include "lib.h"
#include "schedule.h"

static uint32_t ring_entries(const struct pirn_runtime *rt)
{
	uint32_t entries = 2;

	while (entries < 2 * rt->opt.call_depth)
		entries *= 2;
	return entries;
}

static size_t ring_bytes(const struct pirn_runtime *rt)
{
	return ring_entries(rt) * sizeof(struct pirn_message);
}

/* All rings into one core lie in one mapping, on its node by first touch. */
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
			out->credits = rt->opt.call_depth;
		}
	}
	return 0;
}

void pirn_mailboxes_stop(struct pirn_runtime *rt)
{
	for (uint32_t to = 0; to < rt->cores; to++) {
		struct pirn_core *core = rt->core[to];

		if (core && core->in && core->in[0].ring)
			munmap(core->in[0].ring, ring_bytes(rt) * rt->cores);
	}
}

/* The place is there: see the head of this file. */
static void send(struct pirn_core *core, uint32_t to,
		 const struct pirn_message *message)
{
	struct pirn_outbox *out = &core->out[to];
	uint32_t mask = ring_entries(core->rt) - 1;
	struct pirn_message *slot = &out->ring[out->tail & mask];

	slot->result = message->result;
	slot->error = message->error;
	slot->is_reply = message->is_reply;
	slot->fn = message->fn;
	slot->arg = message->arg;
	slot->call = message->call;
	out->tail++;
	/* (A) */
	atomic_store_explicit(&slot->seq, out->tail, memory_order_release);
	out->dirty = true;
}

void pirn_call_reply(struct pirn_core *core, struct pirn_call *call, int result,
		     int error)
{
	struct pirn_message reply = {
		.is_reply = 1, .call = call, .result = result, .error = error,
	};

	send(core, call->from, &reply);
}

/* A call has come: a fiber of its own runs it, and replies when it ends. */
static void receive_call(struct pirn_core *core,
			 const struct pirn_message *message)
{
	struct pirn_fiber *fiber;
	int err = pirn_fiber_make(core, &fiber, message->fn, message->arg);

	if (unlikely(err)) {
		pirn_call_reply(core, message->call, 0, err);
		return;
	}
	fiber->detached = true;
	fiber->call = message->call;
	pirn_fiber_ready(core, fiber);
}

/* A reply has come: the credit goes to who waits longest for one. */
static void receive_reply(struct pirn_core *core, uint32_t from,
			  const struct pirn_message *message)
{
	struct pirn_outbox *out = &core->out[from];
	struct pirn_call *call = message->call;
	struct pirn_fiber *waiter;

	call->result = message->result;
	call->error = message->error;
	pirn_fiber_ready(core, call->caller);

	waiter = pirn_queue_pop(&out->waiting);
	if (waiter)
		pirn_fiber_ready(core, waiter);
	else
		out->credits++;
}

void pirn_messages_receive(struct pirn_core *core)
{
	uint32_t mask = ring_entries(core->rt) - 1;

	for (uint32_t from = 0; from < core->rt->cores; from++) {
		struct pirn_inbox *in = &core->in[from];
		struct pirn_message *slot = &in->ring[in->head & mask];

		/* (B) */
		while (atomic_load_explicit(&slot->seq, memory_order_acquire) ==
		       in->head + 1) {
			in->head++;
			if (slot->is_reply)
				receive_reply(core, from, slot);
			else
				receive_call(core, slot);
			slot = &in->ring[in->head & mask];
		}
	}
}

bool pirn_messages_ready(const struct pirn_core *core)
{
	uint32_t mask = ring_entries(core->rt) - 1;

	for (uint32_t from = 0; from < core->rt->cores; from++) {
		const struct pirn_inbox *in = &core->in[from];

		if (atomic_load_explicit(&in->ring[in->head & mask].seq,
					 memory_order_acquire) == in->head + 1)
			return true;
	}
	return false;
}

/* The end of a turn: wakes the cores that sleep on what this turn sent. */
void pirn_messages_flush(struct pirn_core *core)
{
	bool fenced = false;

	for (uint32_t to = 0; to < core->rt->cores; to++) {
		struct pirn_core *other = core->rt->core[to];

		if (!core->out[to].dirty)
			continue;
		core->out[to].dirty = false;
		if (other == core)
			continue;
		if (!fenced) {
			/* (C) */
			pirn_full_fence();
			fenced = true;
		}
		if (atomic_load_explicit(&other->sleeping,
					 memory_order_relaxed) &&
		    atomic_exchange_explicit(&other->sleeping, 0,
					     memory_order_relaxed))
			core->ops->wake(other);
	}
}

/* ---------------------------------------------------------------- public */

int pirn_call(unsigned int to, int (*fn)(void *arg), void *arg, int *result)
{
	struct pirn_core *core = pirn_this();
	struct pirn_call call;
	struct pirn_message message = {
		.fn = fn, .arg = arg, .call = &call,
	};
	struct pirn_outbox *out;

	if (!core)
		return -EPERM;
	if (to >= core->rt->cores)
		return pirn_fail(core, -EINVAL, "no core %u: there are %u", to,
				 core->rt->cores);
	if (!fn)
		return pirn_fail(core, -EINVAL, "pirn_call: fn is NULL");
	call.caller = core->current;
	call.from = core->index;
	core->stats.calls_sent++;

	out = &core->out[to];
	if (out->credits) {
		out->credits--;
	} else {
		core->stats.calls_parked++;
		pirn_queue_push(&out->waiting, core->current);
		pirn_fiber_stop(core);
	}
	send(core, to, &message);
	pirn_fiber_stop(core);

	if (call.error)
		return pirn_fail(core, call.error,
				 "core %u could not make a fiber for the call",
				 to);
	if (result)
		*result = call.result;
	return 0;
}
