// SPDX-License-Identifier: MIT
/*
 * Backend uring: one io_uring a core, through liburing, with registered files
 * and buffers.
 *
 * The ring is set up with SINGLE_ISSUER and DEFER_TASKRUN where the kernel has
 * them (6.1), else COOP_TASKRUN (5.19), else plain.  With the first two a
 * completion becomes visible only when this core enters the kernel; the kernel
 * raises IORING_SQ_TASKRUN when entering would show one, which ready() looks at.
 *
 * A wake is a write to an eventfd on which the ring always has a poll, or where
 * the kernel is old a read, under way.
 */
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backend.h"
#include "helper.h"
#include "lib.h"
#include "sanitizer.h"

#define FILE_SLOTS	1024u
#define WAKE_COOKIE	1u	/* no op lies at address 1 */
#define UNREGISTERED	INT32_MAX
#define WAIT_MOST	(365ull * 86400 * 1000000000)	/* ns; then once more */

struct uring {
	struct io_uring ring;
	int wake_fd;
	uint64_t wake_count;	/* where the eventfd read lands */
	bool wake_armed;
	bool deferred;		/* completions wait for an enter */
	bool poll;		/* wait in poll(2), see wait_in_poll() */
	bool buffers;		/* the table of buffers exists */
	uint32_t cq_seen;
	uint32_t depth;
	uint32_t file_slots;
	uint8_t file_used[FILE_SLOTS];
	int fd[FILE_SLOTS];	/* for slots of files that are not registered */
	uint8_t sqe_flags;	/* FIXED_FILE: the table of files exists */
	struct pirn_jobs jobs;	/* for the helpers, at the next enter */
};

static int probe_error(int err, char *why, size_t why_bytes)
{
	snprintf(why, why_bytes, "io_uring_setup: %s%s", strerror(-err),
		 err == -ENOSYS ? " (the kernel has no io_uring, or seccomp blocks it)" :
		 err == -EPERM || err == -EACCES ?
		 " (blocked by seccomp or kernel.io_uring_disabled)" :
		 err == -ENOMEM ? " (RLIMIT_MEMLOCK)" : "");
	return err;
}

static int uring_probe(char *why, size_t why_bytes)
{
	struct io_uring ring;
	int err = io_uring_queue_init(2, &ring, 0);
	bool ext_arg;

	if (err)
		return probe_error(err, why, why_bytes);
	ext_arg = ring.features & IORING_FEAT_EXT_ARG;
	io_uring_queue_exit(&ring);
	if (!ext_arg) {
		snprintf(why, why_bytes,
			 "this kernel's io_uring cannot wait until a deadline (Linux 5.11 can)");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* ------------------------------------------------------------ start, stop */

static int ring_open(struct uring *u, uint32_t depth)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int err = -EINVAL;

	/* A poll does not see what a ring with the others has put off. */
	for (unsigned int i = u->poll ? ARRAY_SIZE(flags) - 1 : 0;
	     i < ARRAY_SIZE(flags); i++) {
		/* Room for the eventfd, and for a CQ that is never full. */
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_CQSIZE |
				 IORING_SETUP_CLAMP,
			.cq_entries = 2 * depth + 2,
		};

		err = io_uring_queue_init_params(depth + 1, &u->ring, &params);
		if (!err)
			u->deferred = flags[i] & IORING_SETUP_TASKRUN_FLAG;
		if (err != -EINVAL)
			return err;
	}
	return err;
}

/* More than RLIMIT_NOFILE, and liburing would raise that. */
static uint32_t file_slots(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > FILE_SLOTS)
		return FILE_SLOTS;
	return (uint32_t)limit.rlim_cur;
}

static int uring_core_start(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->depth = core->rt->opt.io_depth;
	u->poll = san_one_thread_at_a_time();
	u->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (u->wake_fd < 0) {
		err = -errno;
		snprintf(why, why_bytes, "eventfd: %s", strerror(-err));
		goto err_free;
	}
	err = ring_open(u, u->depth);
	if (err) {
		probe_error(err, why, why_bytes);
		goto err_close;
	}
	io_uring_ring_dontfork(&u->ring);
	/* Faster where they exist, and not needed where they do not. */
	io_uring_register_ring_fd(&u->ring);
	u->file_slots = file_slots();
	if (!io_uring_register_files_sparse(&u->ring, u->file_slots))
		u->sqe_flags = IOSQE_FIXED_FILE;
	u->buffers = !io_uring_register_buffers_sparse(&u->ring,
						       core->rt->cores);
	core->backend = u;
	return 0;

err_close:
	close(u->wake_fd);
err_free:
	free(u);
	return err;
}

/*
 * The ring's own descriptor is registered with this thread.  The files are let
 * go here because the ring itself goes only some time after it is closed, and a
 * device would be busy until then.
 */
static void uring_core_leave(struct pirn_core *core)
{
	struct uring *u = core->backend;

	if (!u)
		return;
	if (u->sqe_flags)
		io_uring_unregister_files(&u->ring);
	io_uring_unregister_ring_fd(&u->ring);
}

static void uring_core_stop(struct pirn_core *core)
{
	struct uring *u = core->backend;

	if (!u)
		return;
	io_uring_queue_exit(&u->ring);
	close(u->wake_fd);
	free(u);
	core->backend = NULL;
}

/* ------------------------------------------------------------------ pools */

/*
 * Registered when the kernel lets us (RLIMIT_MEMLOCK may not); reads and writes
 * without are only slower.
 */
static int uring_pool_attach(struct pirn_core *core, struct pirn_pool *pool)
{
	struct uring *u = core->backend;
	struct iovec iov = {
		.iov_base = pool->base, .iov_len = pool->bytes,
	};
	__u64 tag = 0;

	if (u->buffers && pool->bytes <= 1u << 30 &&
	    io_uring_register_buffers_update_tag(&u->ring, pool->owner, &iov,
						 &tag, 1) == 1)
		return (int)pool->owner;
	return UNREGISTERED;
}

/* ------------------------------------------------------------------ files */

static int uring_file_attach(struct pirn_core *core, struct pirn_file *file)
{
	struct uring *u = core->backend;
	int fd = (int)file->handle, err;
	uint32_t slot = 0;

	while (slot < u->file_slots && u->file_used[slot])
		slot++;
	if (slot == u->file_slots)
		return pirn_fail(core, -ENFILE, "%u files are in use on core %u",
				 slot, core->index);
	if (u->sqe_flags) {
		err = io_uring_register_files_update(&u->ring, slot, &fd,
						     1);
		if (err < 0)
			return pirn_fail(core, err, "registering a file: %s",
					 strerror(-err));
	}
	u->file_used[slot] = 1;
	u->fd[slot] = fd;
	return (int)slot;
}

static void uring_file_detach(struct pirn_core *core, int slot)
{
	struct uring *u = core->backend;
	int none = -1;

	if (u->sqe_flags)
		io_uring_register_files_update(&u->ring, (unsigned int)slot,
					       &none, 1);
	u->file_used[slot] = 0;
}

/* ------------------------------------------------------------------- path */

static void prepare_data(struct io_uring_sqe *sqe, const struct pirn_op *op,
			 int fd)
{
	static const uint8_t opcode[][2] = {	/* [kind][fixed] */
		[PIRN_IO_READ] = { IORING_OP_READ, IORING_OP_READ_FIXED },
		[PIRN_IO_WRITE] = { IORING_OP_WRITE, IORING_OP_WRITE_FIXED },
	};
	bool fixed = op->pool_slot != UNREGISTERED;

	io_uring_prep_rw(opcode[op->kind][fixed], sqe, fd, op->buf, op->bytes,
			 op->offset);
	if (likely(fixed))
		sqe->buf_index = (uint16_t)op->pool_slot;
	if (op->dsync)
		sqe->rw_flags = RWF_DSYNC;
}

static void prepare(struct uring *u, struct io_uring_sqe *sqe,
		    const struct pirn_op *op)
{
	int fd = op->file_slot;

	if (unlikely(!u->sqe_flags))
		fd = u->fd[fd];
	if (likely(op->kind <= PIRN_IO_WRITE))
		prepare_data(sqe, op, fd);
	else if (op->kind == PIRN_IO_FALLOCATE)
		io_uring_prep_fallocate(sqe, fd, (int)op->mode,
					(off_t)op->offset, (off_t)op->range);
	else
		io_uring_prep_fsync(sqe, fd, op->kind == PIRN_IO_FDATASYNC ?
				    IORING_FSYNC_DATASYNC : 0);
	sqe->flags = u->sqe_flags;
	io_uring_sqe_set_data64(sqe, (uintptr_t)op);
}

static bool uring_queue(struct pirn_core *core, struct pirn_op *op)
{
	struct uring *u = core->backend;
	struct io_uring_sqe *sqe;

	if (core->in_flight >= u->depth)
		return false;
	/* The kernels that have an opcode for it are few. */
	if (unlikely(op->kind == PIRN_IO_DISCARD)) {
		pirn_host_io_help(core, &u->jobs, op);
		core->queued++;
		return true;
	}
	sqe = io_uring_get_sqe(&u->ring);
	if (!sqe)
		return false;
	prepare(u, sqe, op);
	core->queued++;
	return true;
}

/*
 * Once for all wakes where the kernel can (5.13; a ring that defers is of 5.19):
 * each write is then a completion of its own, and nobody reads the count.
 */
static void wake_arm(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe)
		return;		/* the next wait tries again */
	if (u->deferred)
		io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
	else
		io_uring_prep_read(sqe, u->wake_fd, &u->wake_count,
				   sizeof(u->wake_count), 0);
	io_uring_sqe_set_data64(sqe, WAKE_COOKIE);
	u->wake_armed = true;
}

static bool uring_ready(struct pirn_core *core)
{
	struct uring *u = core->backend;

	if (io_uring_cq_ready(&u->ring))
		return true;
	return u->deferred &&
	       IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_TASKRUN;
}

/* Not so long that the kernel's sum overflows. */
static uint64_t time_left(struct pirn_core *core, uint64_t deadline)
{
	uint64_t now = core->ops->now(core);

	if (deadline <= now)
		return 0;
	return deadline - now > WAIT_MOST ? WAIT_MOST : deadline - now;
}

static int wait_until(struct pirn_core *core, struct uring *u,
		      uint64_t deadline)
{
	uint64_t left = time_left(core, deadline);
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(left / 1000000000u),
		.tv_nsec = (long long)(left % 1000000000u),
	};
	struct io_uring_cqe *cqe;

	return io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
}

/*
 * Valgrind runs one thread at a time, and up to 3.19 at least lets no other run
 * while one waits in io_uring_enter(2): the core that would end the wait.
 */
static int wait_in_poll(struct pirn_core *core, struct uring *u,
			uint64_t deadline)
{
	struct pollfd ring = { .fd = u->ring.ring_fd, .events = POLLIN };
	int err = io_uring_submit(&u->ring);

	if (err >= 0 && !uring_ready(core)) {
		uint64_t left = time_left(core, deadline);
		struct timespec ts = {
			.tv_sec = (time_t)(left / 1000000000u),
			.tv_nsec = (long)(left % 1000000000u),
		};

		ppoll(&ring, 1, &ts, NULL);
	}
	return err;
}

static inline uint32_t cq_tail(const struct uring *u)
{
	return io_uring_smp_load_acquire(u->ring.cq.ktail);
}

static void uring_enter(struct pirn_core *core, bool wait, uint64_t deadline)
{
	struct uring *u = core->backend;
	int err;

	if (unlikely(u->jobs.count))
		pirn_helpers_give(core, &u->jobs);
	core->stats.enters++;
	core->stats.seen_without_enter += cq_tail(u) - u->cq_seen;
	if (wait && !u->wake_armed)
		wake_arm(u);
	if (wait && !u->wake_armed)
		wait = false;	/* a full SQ: submit first, wait the next time */
	if (wait && u->poll)
		err = wait_in_poll(core, u, deadline);
	else if (wait && deadline != UINT64_MAX)
		err = wait_until(core, u, deadline);
	else if (wait)
		err = io_uring_submit_and_wait(&u->ring, 1);
	else if (u->deferred)
		err = io_uring_submit_and_get_events(&u->ring);
	else
		err = io_uring_submit(&u->ring);
	u->cq_seen = cq_tail(u);
	/* What was not submitted stays in the ring and goes with the next one. */
	core->queued = io_uring_sq_ready(&u->ring);
	if (err < 0 && err != -EINTR && err != -ETIME && err != -EAGAIN &&
	    err != -EBUSY)
		pirn_panic("pirn: io_uring_enter on core %u: %s", core->index,
			   strerror(-err));
}

static void uring_reap(struct pirn_core *core)
{
	struct uring *u = core->backend;
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	if (!io_uring_cq_ready(&u->ring) && uring_ready(core))
		uring_enter(core, false, UINT64_MAX);
	io_uring_for_each_cqe(&u->ring, head, cqe) {
		uint64_t cookie = io_uring_cqe_get_data64(cqe);

		seen++;
		if (cookie == WAKE_COOKIE)
			u->wake_armed = cqe->flags & IORING_CQE_F_MORE;
		else
			pirn_op_complete(core, (void *)(uintptr_t)cookie,
					 cqe->res);
	}
	io_uring_cq_advance(&u->ring, seen);
}

static void uring_wake(struct pirn_core *core)
{
	struct uring *u = core->backend;
	uint64_t one = 1;

	if (write(u->wake_fd, &one, sizeof(one)) != sizeof(one))
		pirn_panic("pirn: waking core %u: %s", core->index,
			   strerror(errno));
}

const struct pirn_backend_ops pirn_uring_ops = {
	.name = "uring",
	.probe = uring_probe,
	.cpus = pirn_host_cpus,
	.run = pirn_host_run,
	.core_start = uring_core_start,
	.core_stop = uring_core_stop,
	.core_leave = uring_core_leave,
	.pool_map = pirn_host_pool_map,
	.pool_unmap = pirn_host_pool_unmap,
	.pool_attach = uring_pool_attach,
	.file_open = pirn_host_open,
	.file_close = pirn_host_close,
	.file_size = pirn_host_size,
	.file_truncate = pirn_host_truncate,
	.file_attach = uring_file_attach,
	.file_detach = uring_file_detach,
	.rename = pirn_host_rename,
	.unlink = pirn_host_unlink,
	.dir_sync = pirn_host_dir_sync,
	.queue = uring_queue,
	.enter = uring_enter,
	.ready = uring_ready,
	.reap = uring_reap,
	.wake = uring_wake,
	.now = pirn_host_now,
	.seed = pirn_host_seed,
};
