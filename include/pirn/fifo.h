/* SPDX-License-Identifier: MIT */
/*
 * A fifo is what the field calls a bounded channel: fibers of one core send and
 * receive items of one size, by value.  And pirn_select(): waiting for the first
 * of several things.  The rules at the head of <pirn/sync.h> hold here too.
 */
#ifndef PIRN_FIFO_H
#define PIRN_FIFO_H

#include <pirn/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIRN_FIFO_MAX_ITEM 64u	/* bytes; for more, send a pointer */

struct pirn_fifo {
	struct pirn_core *core;
	struct pirn_waiters senders;
	struct pirn_waiters receivers;
	void *memory;
	uint32_t item_bytes;
	uint32_t capacity;
	uint32_t head;
	uint32_t count;
	uint32_t closed;
	uint32_t pad;
	uint64_t reserved[3];
};

/*
 * Of the elements of @array, which holds what was sent and not received, and
 * which the fifo alone touches as long as it is used:
 *
 *	struct job ring[64];
 *	struct pirn_fifo jobs = PIRN_FIFO_INIT(ring);
 */
#define PIRN_FIFO_INIT(array)                                          \
	{ 0, { 0, 0 }, { 0, 0 }, array, sizeof((array)[0]),            \
	  sizeof(array) / sizeof((array)[0]), 0, 0, 0, 0, { 0, 0, 0 } }

/*
 * The same for memory of @capacity (1 up) times @item_bytes (1 to
 * PIRN_FIFO_MAX_ITEM); may be called anywhere.  -EINVAL; an initialiser that is
 * as wrong shows at the first use.
 */
PIRN_API int pirn_fifo_init(struct pirn_fifo *fifo, void *memory,
			    size_t item_bytes, size_t capacity);

/*
 * Copies *item in, or out of the oldest one.  Parks while it is full, or empty.
 * -EPIPE: it is closed, and for receiving also empty.
 */
PIRN_API int pirn_fifo_send_until(struct pirn_fifo *fifo, const void *item,
				  uint64_t deadline);
PIRN_API int pirn_fifo_receive_until(struct pirn_fifo *fifo, void *item,
				     uint64_t deadline);
static inline int pirn_fifo_send(struct pirn_fifo *fifo, const void *item)
{
	return pirn_fifo_send_until(fifo, item, PIRN_NEVER);
}
static inline int pirn_fifo_receive(struct pirn_fifo *fifo, void *item)
{
	return pirn_fifo_receive_until(fifo, item, PIRN_NEVER);
}

/*
 * No more is sent: who waits to send gets -EPIPE and has not sent; what is in
 * it can still be received.  -EALREADY: it is closed.
 */
PIRN_API int pirn_fifo_close(struct pirn_fifo *fifo);

/* Items in it now. */
PIRN_API uint32_t pirn_fifo_count(const struct pirn_fifo *fifo);

/* Forgets what is in it; it is open and empty afterwards. */
PIRN_API int pirn_fifo_destroy(struct pirn_fifo *fifo);

/* ---------------------------------------------------------------- select */

enum pirn_select_kind {
	PIRN_SELECT_NOTHING = 0,	/* never chosen */
	PIRN_SELECT_SEND,		/* object: fifo, item: what to send */
	PIRN_SELECT_RECEIVE,		/* object: fifo, item: where to */
	PIRN_SELECT_EVENT,		/* object: event */
	PIRN_SELECT_FUTURE		/* object: future, item: int64_t or NULL */
};

/* The caller's as long as the call lasts: the place in the object's queue. */
struct pirn_select_case {
	uint32_t kind;			/* one of enum pirn_select_kind */
	int32_t result;			/* of the one that was chosen */
	void *object;
	void *item;
	uint64_t reserved[17];
};

/* Of several that are ready take the first named, not one at random. */
#define PIRN_SELECT_IN_ORDER 1u

/*
 * Does one of @n (1 up) things, the first that can be done; parks until one
 * can.  Returns its index; its result is then what the call for this one thing
 * alone would have returned: 0, -EPIPE, or the error of a future.  Nothing of
 * the others is done.  Of several that can be done when it is called each is
 * chosen as often as the others (pirn_random()), or the first named with
 * PIRN_SELECT_IN_ORDER; once it is parked, whichever comes first.  In the queue
 * of each object it waits in turn as every other.
 * -ETIMEDOUT, -ECANCELED...: none was done.  -EINVAL: a kind or flag is unknown,
 * or @n is 0.
 */
PIRN_API int pirn_select(struct pirn_select_case *cases, unsigned int n,
			 unsigned int flags, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_FIFO_H */
