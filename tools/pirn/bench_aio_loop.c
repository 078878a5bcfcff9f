// SPDX-License-Identifier: MIT
/*
 * pirn bench io --aio-loop: what linux-aio can do at best for the same reads: one
 * io_submit for a batch, and completions read from the mapped ring in user space.
 * Only where too few are there, io_getevents waits for the rest, and takes them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aio_ring.h"
#include "bench_loop.h"

struct aio_loop {
	struct loop_thread *t;
	aio_context_t context;
	struct pirn_aio_ring ring;
	struct iocb *iocb;		/* one a slot */
	struct iocb **queue;		/* to be submitted, in order */
	struct io_event *events;
	uint32_t queued;
	int err;
};

static int prepare_context(struct aio_loop *a)
{
	struct loop_thread *t = a->t;
	uint32_t depth = t->bench->depth;

	a->iocb = calloc(depth, sizeof(a->iocb[0]));
	a->queue = calloc(depth, sizeof(a->queue[0]));
	a->events = calloc(depth, sizeof(a->events[0]));
	if (!a->iocb || !a->queue || !a->events)
		return -ENOMEM;
	for (uint32_t i = 0; i < depth; i++) {
		a->iocb[i].aio_data = i;
		a->iocb[i].aio_lio_opcode = IOCB_CMD_PREAD;
		a->iocb[i].aio_fildes = (uint32_t)t->fd;
		a->iocb[i].aio_buf = (uintptr_t)loop_buffer(t, i);
		a->iocb[i].aio_nbytes = t->bench->bytes;
	}
	if (syscall(SYS_io_setup, depth, &a->context)) {
		complain("io_setup: %s", strerror(errno));
		return -EIO;
	}
	if (pirn_aio_ring_open(&a->ring, (void *)a->context))
		return 0;
	complain("the ring of an aio context cannot be read in user space here");
	return -EIO;
}

static void release(struct aio_loop *a)
{
	if (a->context)
		syscall(SYS_io_destroy, a->context);
	free(a->events);
	free(a->queue);
	free(a->iocb);
}

static inline void queue_read(struct aio_loop *a, uint32_t slot)
{
	struct iocb *iocb = &a->iocb[slot];

	a->t->core->issued++;
	iocb->aio_offset = (int64_t)io_core_offset(a->t->core);
	a->queue[a->queued++] = iocb;
}

static void queue_all(struct aio_loop *a)
{
	for (uint32_t i = 0; i < a->t->bench->depth; i++)
		queue_read(a, i);
}

static void ended(void *arg, const struct io_event *event)
{
	struct aio_loop *a = arg;
	int again = loop_ended(a->t, (long)event->res);

	if (again < 0)
		a->err = again;
	else if (again)
		queue_read(a, (uint32_t)event->data);
}

static int submit(struct aio_loop *a)
{
	uint32_t done = 0;
	long n;

	while (done < a->queued) {
		a->t->enters++;
		n = syscall(SYS_io_submit, a->context, (long)(a->queued - done),
			    a->queue + done);
		if (n < 0 && errno != EINTR) {
			complain("io_submit: %s", strerror(errno));
			return -EIO;
		}
		done += n < 0 ? 0 : (uint32_t)n;
	}
	a->queued = 0;
	return 0;
}

static int reap(struct aio_loop *a)
{
	uint32_t wanted = loop_wanted(a->t), depth = a->t->bench->depth;
	long n;

	if (pirn_aio_ring_count(&a->ring) >= wanted) {
		pirn_aio_ring_reap(&a->ring, ended, a);
		return a->err;
	}
	a->t->enters++;
	n = syscall(SYS_io_getevents, a->context, (long)wanted, (long)depth,
		    a->events, NULL);
	pirn_aio_ring_seek(&a->ring);
	if (n < 0 && errno != EINTR) {
		complain("io_getevents: %s", strerror(errno));
		return -EIO;
	}
	for (long i = 0; i < n; i++)
		ended(a, &a->events[i]);
	return a->err;
}

static int loop(struct aio_loop *a)
{
	struct io_core *core = a->t->core;
	int err;

	queue_all(a);
	while (core->done < core->limit) {
		err = submit(a);
		if (!err)
			err = reap(a);
		if (err)
			return err;
		if (loop_round_over(a->t))
			queue_all(a);
	}
	return 0;
}

int loop_aio(struct loop_thread *t)
{
	struct aio_loop a = { .t = t };
	int err = prepare_context(&a);

	if (!err)
		err = loop(&a);
	release(&a);
	return err;
}
