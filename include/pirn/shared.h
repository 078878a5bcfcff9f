/* SPDX-License-Identifier: MIT */
/*
 * Semaphore, event and fifo (bounded channel) that every core may use.
 *
 * Each has a home core, where it lives and where all is decided, in the order
 * in which requests come there; a call from another core is a message to it and
 * costs what pirn_call() costs.  At home a call costs little more than on the
 * inner object, `local`, which may be used there in its stead, in pirn_select()
 * too.
 *
 * The rules of <pirn/sync.h> hold, but:
 *
 *   Any core of the runtime may call.  Other cores must see the object made:
 *   make it before they start to use it, as with any memory they share, and
 *   free it when none of them does.
 *   Every call from another core parks, and a call that does not wait for the
 *   object itself (post, set, close...) is carried out even when the scope has
 *   ended.
 *   Once its message has gone out a call returns its true result, late if need
 *   be: units, or an item, are never lost on the way back.
 *   -EINVAL: no such home core.  -EAGAIN, -ENOMEM also: no fiber could be made
 *   at home to wait in; nothing was done.
 */
#ifndef PIRN_SHARED_H
#define PIRN_SHARED_H

#include <pirn/fifo.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pirn_shared_semaphore {
	uint32_t home;
	uint32_t pad;
	struct pirn_semaphore local;
};

struct pirn_shared_event {
	uint32_t home;
	uint32_t pad;
	struct pirn_event local;
};

struct pirn_shared_fifo {
	uint32_t home;
	uint32_t pad;
	struct pirn_fifo local;
};

#define PIRN_SHARED_SEMAPHORE_INIT(home, units)                        \
	{ home, 0, PIRN_SEMAPHORE_INIT(units) }
#define PIRN_SHARED_EVENT_INIT(home) { home, 0, PIRN_EVENT_INIT }
#define PIRN_SHARED_EVENT_AUTOMATIC_INIT(home)                         \
	{ home, 0, PIRN_EVENT_AUTOMATIC_INIT }
#define PIRN_SHARED_FIFO_INIT(home, array)                             \
	{ home, 0, PIRN_FIFO_INIT(array) }

PIRN_API int
pirn_shared_semaphore_wait_until(struct pirn_shared_semaphore *semaphore,
				 uint64_t units, uint64_t deadline);
PIRN_API int
pirn_shared_semaphore_post(struct pirn_shared_semaphore *semaphore,
			   uint64_t units);
PIRN_API int
pirn_shared_semaphore_destroy(struct pirn_shared_semaphore *semaphore);

PIRN_API int pirn_shared_event_wait_until(struct pirn_shared_event *event,
					  uint64_t deadline);
PIRN_API int pirn_shared_event_set(struct pirn_shared_event *event);
PIRN_API int pirn_shared_event_clear(struct pirn_shared_event *event);
PIRN_API int pirn_shared_event_destroy(struct pirn_shared_event *event);

/* The home core copies from and to *item itself. */
PIRN_API int pirn_shared_fifo_send_until(struct pirn_shared_fifo *fifo,
					 const void *item, uint64_t deadline);
PIRN_API int pirn_shared_fifo_receive_until(struct pirn_shared_fifo *fifo,
					    void *item, uint64_t deadline);
PIRN_API int pirn_shared_fifo_close(struct pirn_shared_fifo *fifo);
PIRN_API int pirn_shared_fifo_destroy(struct pirn_shared_fifo *fifo);

static inline int
pirn_shared_semaphore_wait(struct pirn_shared_semaphore *semaphore,
			   uint64_t units)
{
	return pirn_shared_semaphore_wait_until(semaphore, units, PIRN_NEVER);
}
static inline int pirn_shared_event_wait(struct pirn_shared_event *event)
{
	return pirn_shared_event_wait_until(event, PIRN_NEVER);
}
static inline int pirn_shared_fifo_send(struct pirn_shared_fifo *fifo,
					const void *item)
{
	return pirn_shared_fifo_send_until(fifo, item, PIRN_NEVER);
}
static inline int pirn_shared_fifo_receive(struct pirn_shared_fifo *fifo,
					   void *item)
{
	return pirn_shared_fifo_receive_until(fifo, item, PIRN_NEVER);
}

#ifdef __cplusplus
}
#endif

#endif /* PIRN_SHARED_H */
