// SPDX-License-Identifier: MIT
/*
 * Fifos: items of one size in a ring of the caller's memory.
 *
 * Fibers wait to send only while it is full and open, to receive only while it
 * is empty and open.  So what is sent while somebody waits to receive goes
 * straight to the first of them, and each item taken out makes room for the
 * item of the first that waits to send, in the same call.
 */
#include "lib.h"
#include "sync.h"
#include "wait.h"

_Static_assert(sizeof(struct pirn_fifo) == 96, "sizes are ABI");

static bool parameters_right(const struct pirn_fifo *fifo)
{
	return fifo->memory && fifo->capacity && fifo->item_bytes &&
	       fifo->item_bytes <= PIRN_FIFO_MAX_ITEM;
}

static int fifo_bind(struct pirn_core *core, struct pirn_fifo *fifo)
{
	if (core && !parameters_right(fifo))
		return pirn_fail(core, -EINVAL,
				 "a fifo of %u items of %u bytes: at least one, of 1 to %u bytes",
				 fifo->capacity, fifo->item_bytes,
				 PIRN_FIFO_MAX_ITEM);
	return pirn_sync_bind(core, &fifo->core);
}

int pirn_fifo_enter(struct pirn_core **core, struct pirn_fifo *fifo)
{
	*core = pirn_this();
	if (likely(*core && fifo->core == *core))
		return 0;
	return fifo_bind(*core, fifo);
}

static inline void copy(void *to, const void *from, uint32_t bytes)
{
	if (bytes == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, bytes);
}

static inline void *slot(const struct pirn_fifo *fifo, uint32_t n)
{
	uint32_t to_end = fifo->capacity - fifo->head;
	uint64_t at = n < to_end ? fifo->head + n : n - to_end;

	return (char *)fifo->memory + at * fifo->item_bytes;
}

/* It can be sent. */
int pirn_fifo_put(struct pirn_core *core, struct pirn_fifo *fifo,
		  const void *item)
{
	if (unlikely(fifo->closed))
		return -EPIPE;
	if (fifo->receivers.first) {
		struct pirn_wait *first = fifo->receivers.first;

		copy(first->item, item, fifo->item_bytes);
		pirn_place_end(core, first, 0);
		return 0;
	}
	copy(slot(fifo, fifo->count), item, fifo->item_bytes);
	fifo->count++;
	return 0;
}

/* It can be received. */
int pirn_fifo_take(struct pirn_core *core, struct pirn_fifo *fifo, void *item)
{
	if (unlikely(!fifo->count))
		return -EPIPE;
	copy(item, slot(fifo, 0), fifo->item_bytes);
	fifo->count--;
	if (++fifo->head == fifo->capacity)
		fifo->head = 0;
	if (fifo->senders.first) {
		struct pirn_wait *first = fifo->senders.first;

		copy(slot(fifo, fifo->count), first->item, fifo->item_bytes);
		fifo->count++;
		pirn_place_end(core, first, 0);
	}
	return 0;
}

static int closed(struct pirn_core *core, const struct pirn_fifo *fifo)
{
	return pirn_fail(core, -EPIPE, "the fifo is closed%s",
			 fifo->count ? "" : " and empty");
}

/* ---------------------------------------------------------------- public */

int pirn_fifo_init(struct pirn_fifo *fifo, void *memory, size_t item_bytes,
		   size_t capacity)
{
	struct pirn_fifo made = { .memory = memory };

	if (item_bytes > PIRN_FIFO_MAX_ITEM || capacity > UINT32_MAX)
		return -EINVAL;
	made.item_bytes = (uint32_t)item_bytes;
	made.capacity = (uint32_t)capacity;
	if (!parameters_right(&made))
		return -EINVAL;
	*fifo = made;
	return 0;
}

int pirn_fifo_send_until(struct pirn_fifo *fifo, const void *item,
			 uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_fifo_enter(&core, fifo);

	if (unlikely(err))
		return err;
	if (!pirn_fifo_can_send(fifo))
		return pirn_place_wait(core, &fifo->senders,
				       (void *)(uintptr_t)item, deadline);
	err = pirn_fifo_put(core, fifo, item);
	return likely(!err) ? 0 : closed(core, fifo);
}

int pirn_fifo_receive_until(struct pirn_fifo *fifo, void *item,
			    uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_fifo_enter(&core, fifo);

	if (unlikely(err))
		return err;
	if (!pirn_fifo_can_receive(fifo))
		return pirn_place_wait(core, &fifo->receivers, item, deadline);
	err = pirn_fifo_take(core, fifo, item);
	return likely(!err) ? 0 : closed(core, fifo);
}

int pirn_fifo_close(struct pirn_fifo *fifo)
{
	struct pirn_core *core;
	int err = pirn_fifo_enter(&core, fifo);

	if (err)
		return err;
	if (fifo->closed)
		return pirn_fail(core, -EALREADY, "the fifo is closed already");
	fifo->closed = true;
	while (fifo->senders.first)
		pirn_place_end(core, fifo->senders.first, -EPIPE);
	while (fifo->receivers.first)
		pirn_place_end(core, fifo->receivers.first, -EPIPE);
	return 0;
}

uint32_t pirn_fifo_count(const struct pirn_fifo *fifo)
{
	return fifo->count;
}

int pirn_fifo_destroy(struct pirn_fifo *fifo)
{
	int err = pirn_sync_destroy(&fifo->core, fifo->senders.first ||
				    fifo->receivers.first);

	if (err)
		return err;
	fifo->head = 0;
	fifo->count = 0;
	fifo->closed = false;
	return 0;
}
