// SPDX-License-Identifier: MIT
/*
 * Ports: mailboxes between fibers.
 *
 * A port lives on its home core, and only that core's thread touches it.  A send
 * from another core is a message that names a record on the sender's stack; the
 * home core copies the item out of it, or queues the record while the port is
 * full, and replies when it has decided.  So a sender always learns what became
 * of its item, and a port costs its senders' cores nothing while nobody sends.
 *
 *   sender (core A)                        home (core B)
 *
 *   send PORT(record)                      item taken, or refused: reply
 *   park: the record is B's                full: queue the record, reply later
 *   the wait is ended early (deadline,
 *   scope): run withdraw() on B and wait   withdraw(): a record still queued is
 *   for it                                 taken out and gets no reply; else
 *                                          its reply is in the ring already
 *
 *   Replies from B to A keep their order, those that find no room too: when
 *   withdraw() has returned to A, the record's reply has come or never will.
 *   Without that A would leave its stack with the record in B's queue, or with
 *   a reply to it on the way.
 */
#include <stdlib.h>

#include <pirn/message.h>

#include "backend.h"
#include "lib.h"
#include "mailbox.h"
#include "schedule.h"
#include "wait.h"

#define MAX_PORTS	65536u
#define BUFFERS		0x80000000u	/* in pirn_port.type, beside the size */

/* What a port of buffers holds. */
struct buffer_item {
	void *buf;
	size_t bytes;
};

/* On the sender's stack. */
struct pirn_port_send {
	/* The sender's, set before it is sent; then read by the home core. */
	struct pirn_port to;
	bool impatient;			/* does not wait for room */
	char item[PIRN_PORT_ITEM];
	/* The home core's. */
	struct pirn_port_send *next;
	struct pirn_port_send *prev;
	struct port *queued;		/* in whose queue it is */
	uint32_t from;
	/* The sender's core's. */
	struct pirn_call call;
	struct pirn_wait wait;
	bool done;			/* the reply has come */
};

struct port {
	uint32_t type;
	uint32_t bytes;			/* of an item */
	uint32_t capacity;
	uint32_t first;
	uint32_t count;
	bool closed;
	struct pirn_port_send *senders;	/* that found it full */
	struct pirn_port_send *senders_last;
	struct pirn_waiters receivers;	/* only while it is empty */
	char items[];
};

/* On the receiver's stack. */
struct receiver {
	struct pirn_wait wait;
	void *item;
};

struct place {
	struct port *port;		/* NULL: free */
	uint32_t generation;		/* of the handles that are good now */
	uint32_t next_free;		/* index + 1, or 0 */
};

/* A core's own. */
struct pirn_ports {
	uint32_t places;
	uint32_t free;			/* index + 1, or 0 */
	struct place *place;
};

/* ------------------------------------------------------------- the handles */

static int no_port(struct pirn_core *core, const struct pirn_port *handle,
		   int err)
{
	return pirn_fail(core, err, "port %u of core %u, generation %u: %s",
			 handle->index, handle->core, handle->generation,
			 err == -ESTALE ? "it was freed, or is another runtime's" :
					  "no such port, or of another type");
}

/* On the home core. */
static int find(struct pirn_core *core, const struct pirn_port *handle,
		struct port **port)
{
	struct pirn_ports *ports = core->ports;
	struct place *place;

	if (unlikely(handle->core != core->index || !handle->generation ||
		     !ports || handle->index >= ports->places))
		return -EINVAL;
	place = &ports->place[handle->index];
	if (unlikely(!place->port || place->generation != handle->generation))
		return -ESTALE;
	if (unlikely(place->port->type != handle->type))
		return -EINVAL;
	*port = place->port;
	return 0;
}

static int place_add(struct pirn_core *core)
{
	struct pirn_ports *ports = core->ports;
	uint32_t places = ports->places ? ports->places * 2 : 16;
	struct place *place;

	if (places > MAX_PORTS)
		return pirn_fail(core, -ENOSPC, "%u ports are open on core %u",
				 ports->places, core->index);
	place = realloc(ports->place, places * sizeof(*place));
	if (!place)
		return pirn_fail(core, -ENOMEM, "no memory for a port");
	for (uint32_t i = ports->places; i < places; i++)
		place[i] = (struct place){
			.generation = core->first_port,
			.next_free = i + 1 < places ? i + 2 : 0,
		};
	ports->free = ports->places + 1;
	ports->place = place;
	ports->places = places;
	return 0;
}

static int open_port(struct pirn_port *handle, uint32_t type, uint32_t bytes,
		     uint32_t capacity)
{
	struct pirn_core *core = pirn_this();
	struct place *place;
	struct port *port;
	int err;

	if (!core)
		return -EPERM;
	if (!handle || !bytes || bytes > PIRN_PORT_ITEM || !capacity ||
	    capacity > PIRN_PORT_MOST)
		return pirn_fail(core, -EINVAL,
				 "a port of %u items of %u bytes: 1 to %u of 1 to %u",
				 capacity, bytes, PIRN_PORT_MOST, PIRN_PORT_ITEM);
	if (!core->ports) {
		core->ports = calloc(1, sizeof(*core->ports));
		if (!core->ports)
			return pirn_fail(core, -ENOMEM, "no memory for a port");
	}
	if (!core->ports->free) {
		err = place_add(core);
		if (err)
			return err;
	}
	port = calloc(1, sizeof(*port) + (size_t)bytes * capacity);
	if (!port)
		return pirn_fail(core, -ENOMEM, "no memory for a port");
	port->type = type;
	port->bytes = bytes;
	port->capacity = capacity;
	handle->core = core->index;
	handle->index = core->ports->free - 1;
	place = &core->ports->place[handle->index];
	core->ports->free = place->next_free;
	place->port = port;
	handle->generation = place->generation;
	handle->type = type;
	return 0;
}

void pirn_ports_stop(struct pirn_core *core)
{
	struct pirn_ports *ports = core->ports;

	if (!ports)
		return;
	for (uint32_t i = 0; i < ports->places; i++)
		free(ports->place[i].port);
	free(ports->place);
	free(ports);
	core->ports = NULL;
}

/* ---------------------------------------------------------- the home core */

static void queue_send(struct port *port, struct pirn_port_send *send)
{
	send->queued = port;
	send->next = NULL;
	send->prev = port->senders_last;
	if (send->prev)
		send->prev->next = send;
	else
		port->senders = send;
	port->senders_last = send;
}

static void unqueue_send(struct pirn_port_send *send)
{
	struct port *port = send->queued;

	if (send->prev)
		send->prev->next = send->next;
	else
		port->senders = send->next;
	if (send->next)
		send->next->prev = send->prev;
	else
		port->senders_last = send->prev;
	send->queued = NULL;
}

/* A queued send has its answer. */
static void settle(struct pirn_core *core, struct pirn_port_send *send,
		   int result)
{
	const struct port *port = send->queued;

	unqueue_send(send);
	if (send->from == core->index) {
		pirn_wait_end(core, &send->wait, result);
		pirn_came_in_order(send->wait.fiber, port);
	} else {
		pirn_call_reply(core, send->from, &send->call, result, 0);
	}
}

static char *item_at(struct port *port, uint32_t i)
{
	return port->items + (size_t)((port->first + i) % port->capacity) *
			     port->bytes;
}

/* There is room, and no sender before this one. */
static void put(struct pirn_core *core, struct port *port, const void *item)
{
	struct pirn_wait *wait = port->receivers.first;

	if (wait) {
		struct receiver *receiver =
			container_of(wait, struct receiver, wait);

		memcpy(receiver->item, item, port->bytes);
		pirn_wait_end(core, wait, 0);
		return;
	}
	memcpy(item_at(port, port->count), item, port->bytes);
	port->count++;
}

/* The oldest item, then the next sender's into the room that is now there. */
static void take(struct pirn_core *core, struct port *port, void *item)
{
	struct pirn_port_send *send = port->senders;

	memcpy(item, item_at(port, 0), port->bytes);
	port->first = (port->first + 1) % port->capacity;
	port->count--;
	if (send) {
		put(core, port, send->item);
		settle(core, send, 0);
	}
}

/* 0, an error, or 1: it is queued, and gets its answer later. */
static int accept_send(struct pirn_core *core, uint32_t from,
		       struct pirn_port_send *send)
{
	struct port *port;
	int err = find(core, &send->to, &port);

	if (unlikely(err))
		return err;
	if (unlikely(port->closed))
		return -EPIPE;
	if (likely(port->count < port->capacity)) {
		put(core, port, send->item);
		return 0;
	}
	if (send->impatient)
		return -ETIMEDOUT;
	send->from = from;
	queue_send(port, send);
	return 1;
}

void pirn_port_receive_send(struct pirn_core *core, uint32_t from,
			    struct pirn_port_send *send)
{
	int result = accept_send(core, from, send);

	if (result <= 0)
		pirn_call_reply(core, from, &send->call, result, 0);
}

static void close_port(struct pirn_core *core, struct port *port)
{
	port->closed = true;
	while (port->senders)
		settle(core, port->senders, -EPIPE);
	while (port->receivers.first)
		pirn_wait_end(core, port->receivers.first, -EPIPE);
}

static int close_at_home(void *arg)
{
	struct pirn_core *core = pirn_this_core;
	struct port *port;
	int err = find(core, arg, &port);

	if (!err)
		close_port(core, port);
	return err;
}

/* Its sender has stopped waiting; whether it was there or not. */
static int withdraw(void *arg)
{
	struct pirn_port_send *send = arg;

	if (send->queued)
		unqueue_send(send);
	return 0;
}

/* ------------------------------------------------------------- the sender */

static void send_replied(struct pirn_core *core, struct pirn_call *call)
{
	struct pirn_port_send *send =
		container_of(call, struct pirn_port_send, call);

	send->done = true;
	if (call->caller->wait == &send->wait)
		pirn_wait_end(core, &send->wait, 0);
}

static int send_far(struct pirn_core *core, struct pirn_port_send *send,
		    uint64_t deadline)
{
	struct pirn_message message = {
		.kind = PIRN_MESSAGE_PORT, .arg = send,
	};
	int err;

	send->done = false;
	send->queued = NULL;
	send->call.replied = send_replied;
	err = pirn_call_send(core, send->to.core, &message, &send->call);
	if (err)
		return err;
	err = pirn_wait_until(core, NULL, &send->wait, NULL, deadline);
	if (unlikely(err) && !send->done)
		pirn_call_inline(core, send->to.core, withdraw, send);
	return send->done ? send->call.result : err;
}

/* Ended early: nobody answers it any more. */
static void send_near_left(struct pirn_core *core, struct pirn_wait *wait)
{
	(void)core;
	unqueue_send(container_of(wait, struct pirn_port_send, wait));
}

static int send_near(struct pirn_core *core, struct pirn_port_send *send,
		     uint64_t deadline)
{
	int err = 0;

	if (unlikely(core->current->scope))
		err = pirn_wait_refused(core->current);
	if (!err)
		err = accept_send(core, core->index, send);
	if (err <= 0)
		return err;
	err = pirn_wait_until(core, NULL, &send->wait, send_near_left, deadline);
	/* Refused at the door: it never waited, and so has not left. */
	if (err && send->queued)
		unqueue_send(send);
	return err;
}

static int send_item(struct pirn_core *core, struct pirn_port_send *send,
		     const void *item, size_t bytes, uint64_t deadline)
{
	int err;

	if (unlikely(send->to.core >= core->rt->cores || !item ||
		     bytes != (send->to.type & ~BUFFERS)))
		return pirn_fail(core, -EINVAL,
				 "an item of %zu bytes for port %u of core %u, whose items have %u",
				 bytes, send->to.index, send->to.core,
				 send->to.type & ~BUFFERS);
	if (unlikely(bytes > PIRN_PORT_ITEM))
		return no_port(core, &send->to, -EINVAL);
	send->impatient = deadline != PIRN_NEVER &&
			  deadline <= pirn_core_time(core);
	memcpy(send->item, item, bytes);
	if (send->to.core == core->index)
		err = send_near(core, send, deadline);
	else
		err = send_far(core, send, send->impatient ? PIRN_NEVER :
							     deadline);
	if (unlikely(err == -ESTALE || err == -EINVAL))
		return no_port(core, &send->to, err);
	return err ? pirn_fail_plain(core, err) : 0;
}

static int receive_item(struct pirn_core *core, const struct pirn_port *handle,
			void *item, size_t bytes, uint64_t deadline)
{
	struct receiver receiver = { .item = item };
	struct port *port;
	int err;

	if (unlikely(handle->core != core->index &&
		     handle->core < core->rt->cores))
		return pirn_fail(core, -EXDEV,
				 "port %u belongs to core %u, this is core %u",
				 handle->index, handle->core, core->index);
	err = find(core, handle, &port);
	if (unlikely(err))
		return no_port(core, handle, err);
	if (unlikely(!item || bytes != port->bytes))
		return pirn_fail(core, -EINVAL,
				 "an item of %zu bytes from a port whose items have %u",
				 bytes, port->bytes);
	if (unlikely(core->current->scope)) {
		err = pirn_wait_refused(core->current);
		if (err)
			return err;
	}
	if (port->count) {
		take(core, port, item);
		return 0;
	}
	if (port->closed)
		return pirn_fail_plain(core, -EPIPE);
	err = pirn_wait_until(core, &port->receivers, &receiver.wait, NULL,
			      deadline);
	return err ? pirn_fail_plain(core, err) : 0;
}

/* ---------------------------------------------------------------- public */

int pirn_port_open(struct pirn_port *port, size_t bytes, uint32_t capacity)
{
	uint32_t size = bytes > PIRN_PORT_ITEM ? UINT32_MAX : (uint32_t)bytes;

	return open_port(port, size, size, capacity);
}

int pirn_port_open_buffers(struct pirn_port *port, uint32_t capacity)
{
	uint32_t size = sizeof(struct buffer_item);

	return open_port(port, BUFFERS | size, size, capacity);
}

int pirn_port_send_until(struct pirn_port port, const void *item, size_t bytes,
			 uint64_t deadline)
{
	struct pirn_core *core = pirn_this();
	struct pirn_port_send send;

	if (!core)
		return -EPERM;
	if (unlikely(port.type & BUFFERS))
		return no_port(core, &port, -EINVAL);
	send.to = port;
	return send_item(core, &send, item, bytes, deadline);
}

int pirn_port_send(struct pirn_port port, const void *item, size_t bytes)
{
	return pirn_port_send_until(port, item, bytes, PIRN_NEVER);
}

int pirn_port_receive_until(struct pirn_port port, void *item, size_t bytes,
			    uint64_t deadline)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (unlikely(port.type & BUFFERS))
		return no_port(core, &port, -EINVAL);
	return receive_item(core, &port, item, bytes, deadline);
}

int pirn_port_receive(struct pirn_port port, void *item, size_t bytes)
{
	return pirn_port_receive_until(port, item, bytes, PIRN_NEVER);
}

int pirn_port_give(struct pirn_port port, void *buf, size_t bytes,
		   uint64_t deadline)
{
	struct pirn_core *core = pirn_this();
	struct buffer_item item = { buf, bytes };
	struct pirn_port_send send;
	struct pirn_pool *pool;

	if (!core)
		return -EPERM;
	if (unlikely(!(port.type & BUFFERS)))
		return no_port(core, &port, -EINVAL);
	pool = pirn_pool_of(core, buf);
	if (unlikely(!pool || (pool == &core->pool &&
			       !pirn_pool_piece(pool, buf))))
		return pirn_fail(core, -EFAULT,
				 "%p is not a buffer that pirn_buf_alloc() gave out",
				 buf);
	send.to = port;
	return send_item(core, &send, &item, sizeof(item), deadline);
}

int pirn_port_take(struct pirn_port port, void **buf, size_t *bytes,
		   uint64_t deadline)
{
	struct pirn_core *core = pirn_this();
	struct buffer_item item;
	int err;

	if (!core)
		return -EPERM;
	if (unlikely(!(port.type & BUFFERS) || !buf))
		return no_port(core, &port, -EINVAL);
	err = receive_item(core, &port, &item, sizeof(item), deadline);
	if (err)
		return err;
	*buf = item.buf;
	if (bytes)
		*bytes = item.bytes;
	return 0;
}

int pirn_port_close(struct pirn_port port)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	if (port.core >= core->rt->cores)
		return no_port(core, &port, -EINVAL);
	err = pirn_call_inline(core, port.core, close_at_home, &port);
	return err ? no_port(core, &port, err) : 0;
}

int pirn_port_free(struct pirn_port handle)
{
	struct pirn_core *core = pirn_this();
	struct buffer_item item;
	struct place *place;
	struct port *port;
	int err;

	if (!core)
		return -EPERM;
	if (handle.core != core->index && handle.core < core->rt->cores)
		return pirn_fail(core, -EXDEV,
				 "port %u belongs to core %u, this is core %u",
				 handle.index, handle.core, core->index);
	err = find(core, &handle, &port);
	if (err)
		return no_port(core, &handle, err);
	close_port(core, port);
	place = &core->ports->place[handle.index];
	/* 0 is the generation of no handle. */
	if (!++place->generation)
		place->generation = 1;
	/* Parks, for good where the runtime ends: it keeps its place until then. */
	while (port->type & BUFFERS && port->count) {
		take(core, port, &item);
		pirn_buf_return(item.buf);
	}
	place = &core->ports->place[handle.index];
	place->port = NULL;
	place->next_free = core->ports->free;
	core->ports->free = handle.index + 1;
	free(port);
	return 0;
}
