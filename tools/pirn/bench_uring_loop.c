// SPDX-License-Identifier: MIT
/*
 * pirn bench io: the yardstick.  What io_uring can do at best for the same
 * reads: registered file, registered buffers, registered ring, one enter that
 * submits and waits for a batch of completions, and nothing in user space but
 * the loop.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "bench_loop.h"

struct uring_loop {
	struct loop_thread *t;
	struct io_uring ring;
};

static const unsigned int setup_flags[IO_LOOP_AIO] = {
	[IO_LOOP_DEFER] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	[IO_LOOP_COOP] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
};

/* --------------------------------------------------------- preparing */

/* One entry a buffer: an import from the start of an entry is the cheapest. */
static int register_buffers(struct uring_loop *u)
{
	uint32_t i, depth = u->t->bench->depth;
	struct iovec *iov = calloc(depth, sizeof(*iov));
	int err;

	if (!iov)
		return -ENOMEM;
	for (i = 0; i < depth; i++) {
		iov[i].iov_base = loop_buffer(u->t, i);
		iov[i].iov_len = u->t->bench->bytes;
	}
	err = io_uring_register_buffers(&u->ring, iov, depth);
	free(iov);
	return err;
}

/* The ring belongs to the thread that makes it. */
static int prepare_ring(struct uring_loop *u)
{
	int err;

	err = io_uring_queue_init(u->t->bench->depth, &u->ring,
				  setup_flags[u->t->kind]);
	if (err)
		return err;
	err = io_uring_register_files(&u->ring, &u->t->fd, 1);
	if (!err)
		err = register_buffers(u);
	if (!err)
		err = io_uring_register_ring_fd(&u->ring);
	if (err >= 0)
		return 0;
	complain("registering with io_uring: %s", strerror(-err));
	io_uring_queue_exit(&u->ring);
	/* Not -EINVAL, which means that there is no such ring. */
	return -EIO;
}

/* ---------------------------------------------------------- the loop */

static inline void queue_read(struct uring_loop *u, uint32_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	struct loop_thread *t = u->t;

	/* At most depth are in flight: there is room. */
	t->core->issued++;
	io_uring_prep_read_fixed(sqe, 0, loop_buffer(t, slot), t->bench->bytes,
				 io_core_offset(t->core), (int)slot);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = slot;
}

static void queue_all(struct uring_loop *u)
{
	for (uint32_t i = 0; i < u->t->bench->depth; i++)
		queue_read(u, i);
}

static int reap(struct uring_loop *u)
{
	unsigned int head, count = 0, most = loop_most(u->t);
	struct io_uring_cqe *cqe;
	int again;

	io_uring_for_each_cqe(&u->ring, head, cqe) {
		again = loop_ended(u->t, cqe->res);
		if (again < 0)
			return again;
		if (again)
			queue_read(u, (uint32_t)cqe->user_data);
		if (++count == most)
			break;
	}
	io_uring_cq_advance(&u->ring, count);
	return 0;
}

static int loop(struct uring_loop *u)
{
	struct loop_thread *t = u->t;
	int err;

	queue_all(u);
	while (t->core->done < t->core->limit) {
		t->enters++;
		err = io_uring_submit_and_wait(&u->ring, loop_wanted(t));
		if (err < 0 && err != -EINTR) {
			complain("io_uring_enter: %s", strerror(-err));
			return -EIO;
		}
		err = reap(u);
		if (err)
			return err;
		if (loop_round_over(t))
			queue_all(u);
	}
	return 0;
}

int loop_uring(struct loop_thread *t)
{
	struct uring_loop u = { .t = t };
	int err = prepare_ring(&u);

	if (err)
		return err;
	err = loop(&u);
	io_uring_queue_exit(&u.ring);
	return err;
}
