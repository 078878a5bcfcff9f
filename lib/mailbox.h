/* SPDX-License-Identifier: MIT */
/*
 * What goes from core to core: the rings (mailbox.c), what is said through them
 * (message.c, gather.c, port.c), and the door for other threads (door.c).
 */
#ifndef PIRN_MAILBOX_H
#define PIRN_MAILBOX_H

#include "lib.h"

/*
 * Taken from one sender in a turn.  More would run on more stacks than the first
 * level of cache holds, and show the sender later that there is room.
 */
#define PIRN_TURN_MESSAGES 16u

/* ------------------------------------------------------------- mailbox.c */

/*
 * On the caller's stack for as long as the call lasts: the place for the reply.
 * From the sending to the reply what is in front belongs to the callee's core,
 * which touches it only when the reply finds no room.
 */
struct pirn_call {
	struct pirn_fiber *caller;
	/* When the reply has come; NULL: makes the caller runnable. */
	void (*replied)(struct pirn_core *core, struct pirn_call *call);
	int result;
	int error;
	struct pirn_call *next;		/* of the replies that found no room */
	/* The caller's core's, with PIRN_MESSAGE_CALL: */
	struct pirn_call *calling;	/* another that the fiber has out */
	struct pirn_call *cancel_next;	/* of the CANCELs that found no room */
	struct pirn_call *cancel_prev;
	int cancel_error;		/* 0: none waits for room */
	uint32_t to;			/* the callee's core */
};

enum pirn_message_kind {
	PIRN_MESSAGE_CALL,		/* run fn(arg) in a fiber, then reply */
	PIRN_MESSAGE_POST,		/* run fn(arg) in a fiber */
	PIRN_MESSAGE_INLINE,		/* run fn(arg), which never parks, and reply */
	PIRN_MESSAGE_INLINE_POST,	/* run fn(arg), which never parks */
	PIRN_MESSAGE_PORT,		/* arg is a struct pirn_port_send */
	PIRN_MESSAGE_REPLY,
	PIRN_MESSAGE_SCOPE_CALL,	/* a call from inside a scope: scope_call.c */
	PIRN_MESSAGE_CANCEL,		/* ends that scope with `error` */
};

/* One line: whoever sees seq == position + 1 owns the rest of it. */
struct pirn_message {
	_Atomic uint32_t seq;
	uint32_t kind;
	int32_t result;
	int32_t error;
	int (*fn)(void *arg);
	void *arg;
	struct pirn_call *call;		/* of a CANCEL: a name only */
	uint64_t deadline;		/* of a SCOPE_CALL */
} pirn_aligned;

_Static_assert(sizeof(struct pirn_message) == PIRN_LINE, "one line a message");

/* A post that was taken when no fiber could be made. */
struct pirn_delayed {
	int (*fn)(void *arg);
	void *arg;
};

/*
 * The receiver's side of a mailbox, and what it shows of it to the sender: a
 * line that the receiver alone writes.
 */
struct pirn_inbox {
	_Atomic uint32_t taken pirn_aligned;	/* head, published */
	_Atomic uint32_t begun;		/* posts made into fibers */
	_Atomic uint32_t ended;		/* of those, ended; with call_window only */
	uint32_t head;
	bool moved;			/* something the sender may wait for */
	struct pirn_message *ring;
	struct pirn_delayed *delayed;	/* call_depth places, a ring too */
	uint32_t delayed_head;
	uint32_t delayed_tail;
};

_Static_assert(sizeof(struct pirn_inbox) == PIRN_LINE, "one line an inbox");

/* The sender's side. */
struct pirn_outbox {
	struct pirn_message *ring;
	struct pirn_inbox *inbox;
	_Atomic uint32_t *sleeping;	/* the receiver's */
	uint32_t tail;
	uint32_t taken;			/* inbox->taken as last seen */
	uint32_t promised;		/* places of fibers about to send */
	bool dirty;			/* something sent, the receiver not looked at */
	uint32_t posts;			/* sent */
	uint32_t begun;			/* inbox->begun as last seen */
	uint32_t ended;			/* inbox->ended as last seen */
	uint32_t outstanding;		/* sent and not ended; with call_window only */
	struct pirn_call *replies;	/* that found no room, first in first out */
	struct pirn_call *replies_last;
	struct pirn_call *cancels;	/* the same for CANCELs */
	struct pirn_call *cancels_last;
	struct pirn_waiters waiting;	/* fibers with a message that found no room */
	struct pirn_waiters window;	/* fibers kept back by call_window */
};

int pirn_mailboxes_start(struct pirn_runtime *rt);
void pirn_mailboxes_stop(struct pirn_runtime *rt);
void pirn_mailboxes_touch(struct pirn_core *core);
void pirn_messages_receive(struct pirn_core *core);
bool pirn_messages_ready(struct pirn_core *core);
void pirn_mailboxes_flush(struct pirn_core *core);

_Static_assert(PIRN_MAX_CORES / 64 <= 32, "a bit of touched_words for each");

/* pirn_messages_flush() looks at what this core has to do with @other. */
static inline void pirn_mailbox_touch(struct pirn_core *core, uint32_t other)
{
	core->touched[other / 64] |= 1ull << other % 64;
	core->touched_words |= 1u << other / 64;
}

/* The end of a turn, most of which sent nothing and took nothing. */
static inline void pirn_messages_flush(struct pirn_core *core)
{
	if (unlikely(core->touched_words))
		pirn_mailboxes_flush(core);
}

/* After that: whether something waits for another core to make room. */
static inline bool pirn_mailboxes_stuck(const struct pirn_core *core)
{
	return core->touched_words;
}

/* Parks until there is room.  An error of the wait: nothing is promised. */
int pirn_mailbox_wait(struct pirn_core *core, struct pirn_outbox *out);
/* Puts a message where pirn_mailbox_wait() found room, without parking since. */
void pirn_mailbox_send(struct pirn_core *core, struct pirn_outbox *out,
		       const struct pirn_message *message);
/* Sends the reply to core @to now or, when there is no room, as soon as. */
void pirn_call_reply(struct pirn_core *core, uint32_t to, struct pirn_call *call,
		     int result, int error);

/* Asks core call->to to end a call early that is out. */
void pirn_call_cancel(struct pirn_core *core, struct pirn_call *call,
		      int error);
/* The current fiber has the replies to all its calls. */
void pirn_calls_forget(struct pirn_core *core);
static inline void pirn_calls_over(struct pirn_core *core)
{
	if (unlikely(core->current->scope))
		pirn_calls_forget(core);
	core->current->calling = NULL;
}

/* ------------------------------------------------------------- message.c */

/* No bound: the default of pirn_options.call_window. */
#define PIRN_NO_WINDOW UINT32_MAX

/* Does what one message asks; never waits. */
void pirn_message_receive(struct pirn_core *core, struct pirn_inbox *in,
			  const struct pirn_message *message);
/* Makes fibers of posts that were delayed, as far as there are any. */
void pirn_delayed_begin(struct pirn_core *core);
/* Whether trying to make a fiber again may end better than last time. */
static inline bool pirn_fiber_to_be_had(const struct pirn_core *core)
{
	return !core->starved || core->fibers < core->starved_at;
}
/* No fiber could be made, with @error: when to try again. */
void pirn_starve(struct pirn_core *core, int error);

/* A fiber that serves somebody has ended. */
void pirn_served(struct pirn_core *core, struct pirn_fiber *fiber);
/* Lets fibers go that call_window keeps back, as far as it allows. */
bool pirn_window_open(const struct pirn_core *core, struct pirn_outbox *out);
void pirn_window_retry(struct pirn_core *core, struct pirn_outbox *out);

/*
 * What pirn_call() is made of: parks until the message may go, sends it, and
 * returns; ->caller is set.  The reply must be waited for when it returns 0, and
 * pirn_calls_over() then be called.
 */
int pirn_call_send(struct pirn_core *core, uint32_t to,
		   struct pirn_message *message, struct pirn_call *call);
/* Runs fn(arg), which must not park, in the reactor of a core; parks. */
int pirn_call_inline(struct pirn_core *core, uint32_t to,
		     int (*fn)(void *arg), void *arg);
/* The same without waiting for it to run: parks only for room. */
int pirn_post_inline(struct pirn_core *core, uint32_t to,
		     int (*fn)(void *arg), void *arg);

/* ---------------------------------------------------------------- port.c */

struct pirn_port_send;

/* A send from another core has come; never waits. */
void pirn_port_receive_send(struct pirn_core *core, uint32_t from,
			    struct pirn_port_send *send);
/* After the last turn of every core. */
void pirn_ports_stop(struct pirn_core *core);

/* ---------------------------------------------------------------- door.c */

struct pirn_foreign_call;

/* free: seq == 2 * lap; full: seq == 2 * lap + 1. */
struct pirn_inlet_slot {
	_Atomic uint64_t seq;
	int (*fn)(void *arg);
	void *arg;
	struct pirn_foreign_call *call;	/* NULL: a post */
};

/* What foreign threads ask of one core: a bounded ring, see door.c. */
struct pirn_inlet {
	/* The threads'. */
	_Atomic uint64_t tail pirn_aligned;
	_Atomic uint32_t waiting;	/* threads that want room */
	_Atomic uint32_t room;		/* changes when there is; a futex */
	/* The core's. */
	uint64_t head pirn_aligned;
	struct pirn_inlet_slot *next;	/* that of head, */
	uint64_t full;			/* and its seq when it is full */
	struct pirn_foreign_call *calls; /* that have a fiber now */
	struct pirn_inlet_slot *ring;
	uint32_t mask;
	uint32_t shift;			/* head >> shift is its lap */
};

int pirn_door_start(struct pirn_runtime *rt);
/* After the last turn: nobody is let in any more, and who waits is told. */
void pirn_door_close(struct pirn_runtime *rt);
void pirn_inlet_receive(struct pirn_core *core);
void pirn_foreign_served(struct pirn_core *core, struct pirn_fiber *fiber);

/* Whether there is one to take: (B) of door.c. */
static inline bool pirn_inlet_full(const struct pirn_inlet *inlet)
{
	return atomic_load_explicit(&inlet->next->seq, memory_order_acquire) ==
	       inlet->full;
}

/* Whether pirn_inlet_receive() would take something. */
static inline bool pirn_inlet_ready(const struct pirn_core *core)
{
	const struct pirn_inlet *inlet = core->inlet;

	if (!inlet || likely(!pirn_inlet_full(inlet)))
		return false;
	/* A call is answered even when there is no fiber for it. */
	return inlet->next->call || pirn_fiber_to_be_had(core);
}

#endif /* PIRN_MAILBOX_H */
