/* SPDX-License-Identifier: MIT */
/*
 * The ring of an aio context, read in user space.  <linux/aio_abi.h> does not
 * tell its layout; it lies where io_setup's context points, has been the same
 * since Linux 2.6, and says by magic and incompat_features that it still is
 * (fs/aio.c).
 *
 *   kernel, or a thread that wakes          the core
 *
 *   takes a credit for each op it takes     (B) load tail, acquire
 *   write the event at tail                 read the events from head to there
 *   (A) store tail + 1, after the event     (C) store head, release
 *   ...
 *   (D) out of credits: load head; what
 *       lies before it is room again
 *
 *   (A) pairs with (B): without them the core reads an event half written.
 *   (C) pairs with (D): without them, or with head stored before the events are
 *   read, the kernel writes new events over those the core still reads.
 *
 * Both are positions, not counts: they go back to 0 at nr.  The kernel has one
 * event more than it gives credits for, so that a full ring is not empty.
 *
 * io_getevents takes events out too and moves head itself: pirn_aio_ring_seek().
 */
#ifndef PIRN_AIO_RING_H
#define PIRN_AIO_RING_H

#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>

#define PIRN_AIO_MAGIC	0xa10a10a1u

struct pirn_aio_header {
	uint32_t id;
	uint32_t nr;			/* of events */
	uint32_t head;			/* the next to read */
	uint32_t tail;			/* the next to write */
	uint32_t magic;
	uint32_t compat_features;
	uint32_t incompat_features;
	uint32_t header_length;
	struct io_event event[];
};

_Static_assert(sizeof(struct pirn_aio_header) == 32, "layout of fs/aio.c");
_Static_assert(sizeof(struct io_event) == 32, "layout of fs/aio.c");

/* The core's side; only it has one. */
struct pirn_aio_ring {
	struct pirn_aio_header *shared;
	uint32_t nr;
	uint32_t head;			/* nobody else moves it but io_getevents */
};

static inline bool pirn_aio_ring_open(struct pirn_aio_ring *ring, void *at)
{
	ring->shared = at;
	if (ring->shared->magic != PIRN_AIO_MAGIC ||
	    ring->shared->incompat_features ||
	    ring->shared->header_length != sizeof(*ring->shared))
		return false;
	ring->nr = ring->shared->nr;
	ring->head = ring->shared->head;
	return true;
}

static inline uint32_t pirn_aio_ring_tail(const struct pirn_aio_ring *ring)
{
	/* (B) */
	return __atomic_load_n(&ring->shared->tail, __ATOMIC_ACQUIRE);
}

static inline bool pirn_aio_ring_ready(const struct pirn_aio_ring *ring)
{
	return pirn_aio_ring_tail(ring) != ring->head;
}

static inline uint32_t pirn_aio_ring_count(const struct pirn_aio_ring *ring)
{
	uint32_t tail = pirn_aio_ring_tail(ring);

	return tail >= ring->head ? tail - ring->head :
				    tail + ring->nr - ring->head;
}

/* Gives every event there is to fn(); how many. */
static inline uint32_t
pirn_aio_ring_reap(struct pirn_aio_ring *ring,
		   void (*fn)(void *arg, const struct io_event *event),
		   void *arg)
{
	uint32_t tail = pirn_aio_ring_tail(ring), head = ring->head, n = 0;

	if (head == tail)
		return 0;
	for (; head != tail; n++) {
		fn(arg, &ring->shared->event[head]);
		if (++head == ring->nr)
			head = 0;
	}
	ring->head = head;
	/* (C) */
	__atomic_store_n(&ring->shared->head, head, __ATOMIC_RELEASE);
	return n;
}

/* After io_getevents, which left head where it is right. */
static inline void pirn_aio_ring_seek(struct pirn_aio_ring *ring)
{
	ring->head = __atomic_load_n(&ring->shared->head, __ATOMIC_RELAXED);
}

#endif /* PIRN_AIO_RING_H */
