// SPDX-License-Identifier: MIT
/*
 * Semaphore, event and fifo that other cores may use: each request is run at
 * home, on the inner object.
 *
 * What cannot park there runs inside the home core's reactor.  What may is a
 * call: a fiber at home waits in the object's queue, with the caller's deadline,
 * and what its wait ended with is the reply.  The caller is parked all that
 * time, so its arguments and item may lie on its stack.
 */
#include <pirn/shared.h>

#include "lib.h"
#include "mailbox.h"
#include "sync.h"

struct request {
	void *object;			/* the inner one */
	void *item;
	uint64_t units;
	uint64_t deadline;
};

/*
 * @fn leaves the object's own answer as its result.  A line of reason stays on
 * the home core: here there is only the errno.
 */
static int run_at(uint32_t home, int (*fn)(void *arg), struct request *request)
{
	struct pirn_core *core = pirn_this();
	int err, result = 0;

	if (unlikely(!core))
		return -EPERM;
	if (home == core->index)
		return fn(request);
	if (home >= core->rt->cores)
		return pirn_fail(core, -EINVAL, "no core %u: there are %u", home,
				 core->rt->cores);
	if (request->deadline == PIRN_TRY) {
		result = pirn_call_inline(core, home, fn, request);
	} else {
		err = pirn_call(home, fn, request, &result);
		if (err)
			return err;
	}
	return result ? pirn_fail_plain(core, result) : 0;
}

static int semaphore_wait(void *arg)
{
	struct request *request = arg;

	return pirn_semaphore_wait_until(request->object, request->units,
					 request->deadline);
}

static int semaphore_post(void *arg)
{
	struct request *request = arg;

	return pirn_semaphore_post(request->object, request->units);
}

static int semaphore_destroy(void *arg)
{
	return pirn_semaphore_destroy(((struct request *)arg)->object);
}

static int event_wait(void *arg)
{
	struct request *request = arg;

	return pirn_event_wait_until(request->object, request->deadline);
}

static int event_set(void *arg)
{
	return pirn_event_set(((struct request *)arg)->object);
}

static int event_clear(void *arg)
{
	return pirn_event_clear(((struct request *)arg)->object);
}

static int event_destroy(void *arg)
{
	return pirn_event_destroy(((struct request *)arg)->object);
}

static int fifo_send(void *arg)
{
	struct request *request = arg;

	return pirn_fifo_send_until(request->object, request->item,
				    request->deadline);
}

static int fifo_receive(void *arg)
{
	struct request *request = arg;

	return pirn_fifo_receive_until(request->object, request->item,
				       request->deadline);
}

static int fifo_close(void *arg)
{
	return pirn_fifo_close(((struct request *)arg)->object);
}

static int fifo_destroy(void *arg)
{
	return pirn_fifo_destroy(((struct request *)arg)->object);
}

/* ---------------------------------------------------------------- public */

int pirn_shared_semaphore_wait_until(struct pirn_shared_semaphore *semaphore,
				     uint64_t units, uint64_t deadline)
{
	struct request request = {
		.object = &semaphore->local, .units = units,
		.deadline = deadline,
	};

	return run_at(semaphore->home, semaphore_wait, &request);
}

int pirn_shared_semaphore_post(struct pirn_shared_semaphore *semaphore,
			       uint64_t units)
{
	struct request request = {
		.object = &semaphore->local, .units = units,
		.deadline = PIRN_TRY,
	};

	return run_at(semaphore->home, semaphore_post, &request);
}

int pirn_shared_semaphore_destroy(struct pirn_shared_semaphore *semaphore)
{
	struct request request = {
		.object = &semaphore->local, .deadline = PIRN_TRY,
	};

	return run_at(semaphore->home, semaphore_destroy, &request);
}

int pirn_shared_event_wait_until(struct pirn_shared_event *event,
				 uint64_t deadline)
{
	struct request request = {
		.object = &event->local, .deadline = deadline,
	};

	return run_at(event->home, event_wait, &request);
}

int pirn_shared_event_set(struct pirn_shared_event *event)
{
	struct request request = {
		.object = &event->local, .deadline = PIRN_TRY,
	};

	return run_at(event->home, event_set, &request);
}

int pirn_shared_event_clear(struct pirn_shared_event *event)
{
	struct request request = {
		.object = &event->local, .deadline = PIRN_TRY,
	};

	return run_at(event->home, event_clear, &request);
}

int pirn_shared_event_destroy(struct pirn_shared_event *event)
{
	struct request request = {
		.object = &event->local, .deadline = PIRN_TRY,
	};

	return run_at(event->home, event_destroy, &request);
}

int pirn_shared_fifo_send_until(struct pirn_shared_fifo *fifo, const void *item,
				uint64_t deadline)
{
	struct request request = {
		.object = &fifo->local, .item = (void *)(uintptr_t)item,
		.deadline = deadline,
	};

	return run_at(fifo->home, fifo_send, &request);
}

int pirn_shared_fifo_receive_until(struct pirn_shared_fifo *fifo, void *item,
				   uint64_t deadline)
{
	struct request request = {
		.object = &fifo->local, .item = item, .deadline = deadline,
	};

	return run_at(fifo->home, fifo_receive, &request);
}

int pirn_shared_fifo_close(struct pirn_shared_fifo *fifo)
{
	struct request request = {
		.object = &fifo->local, .deadline = PIRN_TRY,
	};

	return run_at(fifo->home, fifo_close, &request);
}

int pirn_shared_fifo_destroy(struct pirn_shared_fifo *fifo)
{
	struct request request = {
		.object = &fifo->local, .deadline = PIRN_TRY,
	};

	return run_at(fifo->home, fifo_destroy, &request);
}
