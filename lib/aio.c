// SPDX-License-Identifier: MIT
/*
 * Backend aio: one linux-aio context a core, for machines where io_uring is
 * blocked.
 *
 * Stage 2 of a read: an op becomes an iocb.  Stage 4: enter() hands the turn's
 * iocbs to the kernel with one io_submit.  Stage 9: completions are read from
 * the ring that the kernel maps into the process (aio_ring.h), without a system
 * call.  The system calls are made here and not through libaio: what that adds
 * is the ring, and it hides it.
 *
 * A core sleeps in io_getevents, which looks at the ring first, and which any
 * event in it ends.  A wake is such an event, put there by whoever wakes: it
 * submits, to the sleeper's context, a poll of a descriptor that is always
 * readable, which completes inside io_submit.  Nothing is armed, read or looked
 * at besides, and what comes between the last look and the sleep ends it like a
 * completion does.  The alternatives, measured on Linux 6.18, CPU time of both
 * sides, same CPU: 3.0 us a wake this way; 4.0 with an eventfd of its own that
 * the context polls (as Seastar does); 2.5 with epoll_wait on an eventfd, but
 * then each op must signal another (IOCB_FLAG_RESFD), asleep or not.
 *
 * io_submit may wait: for a lock of the file, for blocks to be allocated, for a
 * free place in the device's queue.  So every read and write is submitted with
 * RWF_NOWAIT, and what comes back with EAGAIN goes to a helper thread, as does
 * all of a file whose file system cannot promise not to wait.  One wait is left:
 * for a device whose queue is full, below a file system, which does not pass the
 * flag on to it.  Reads and writes of buffered files are synchronous in
 * linux-aio: theirs go to a helper at once.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "aio_ring.h"
#include "backend.h"
#include "helper.h"
#include "lib.h"

/*
 * Credits for wakes beside those for ops.  One would do: when none is left some
 * wake is on its way already.
 */
#define WAKES		4u
#define WAIT_MOST	(365ull * 86400 * 1000000000)	/* ns; then once more */
#define RETRY_NS	1000000u	/* when the kernel is out of memory */

/* What this backend calls a file on a core. */
enum { BY_CONTEXT, BY_HELPER };

struct aio {
	aio_context_t context;
	struct pirn_aio_ring ring;
	int readable_fd;		/* polled by wakes */
	uint32_t depth;
	uint32_t first;			/* of iocb[], not submitted yet */
	uint32_t count;
	uint32_t in_kernel;		/* ops submitted and not reaped */
	uint32_t visible;		/* events there when enter returned */
	struct pirn_jobs jobs;		/* for the helpers, at the next enter */
	struct pirn_op *refused;	/* by io_submit, with their results */
	struct io_event taken;		/* by io_getevents */
	bool has_taken;
	struct iocb *iocb;
	struct iocb **pointer;		/* to each of iocb[], for io_submit */
};

static int sys_setup(unsigned int events, aio_context_t *context)
{
	return syscall(SYS_io_setup, events, context) ? -errno : 0;
}

static int sys_submit(aio_context_t context, uint32_t n, struct iocb **iocbs)
{
	long taken = syscall(SYS_io_submit, context, (long)n, iocbs);

	return taken < 0 ? -errno : (int)taken;
}

/* ------------------------------------------------------------------ probe */

static unsigned long read_limit(const char *path)
{
	unsigned long value = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

static int setup_error(int err, uint32_t events, char *why, size_t why_bytes)
{
	if (err == -EAGAIN)
		snprintf(why, why_bytes,
			 "io_setup of %u events: fs.aio-max-nr is %lu, and %lu are taken: raise it, or lower io_depth",
			 events, read_limit("/proc/sys/fs/aio-max-nr"),
			 read_limit("/proc/sys/fs/aio-nr"));
	else
		snprintf(why, why_bytes, "io_setup: %s%s", strerror(-err),
			 err == -ENOSYS ?
			 " (the kernel has no linux-aio, or seccomp blocks it)" :
			 err == -EPERM ? " (blocked by seccomp)" : "");
	return err;
}

/* An event in the ring of @context, at once. */
static int post_event(aio_context_t context, int readable_fd)
{
	struct iocb poll = {
		.aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN,
		.aio_fildes = (__u32)readable_fd,
	};
	struct iocb *pointer = &poll;
	int n = sys_submit(context, 1, &pointer);

	return n < 0 ? n : 0;
}

static int open_readable(char *why, size_t why_bytes)
{
	int fd = eventfd(1, EFD_CLOEXEC), err = -errno;

	if (fd >= 0)
		return fd;
	snprintf(why, why_bytes, "eventfd: %s", strerror(-err));
	return err;
}

/* The one thing all else stands on, tried: a posted event is in the ring. */
static int try_ring(aio_context_t context, char *why, size_t why_bytes)
{
	struct pirn_aio_ring ring;
	int fd, err;

	if (!pirn_aio_ring_open(&ring, (void *)context)) {
		snprintf(why, why_bytes,
			 "the ring of an aio context cannot be read in user space here");
		return -EOPNOTSUPP;
	}
	fd = open_readable(why, why_bytes);
	if (fd < 0)
		return fd;
	err = post_event(context, fd);
	close(fd);
	if (err || pirn_aio_ring_count(&ring) != 1) {
		snprintf(why, why_bytes,
			 "linux-aio cannot poll a descriptor here (Linux 4.19 can)%s%s",
			 err ? ": " : "", err ? strerror(-err) : "");
		return err ? err : -EOPNOTSUPP;
	}
	return 0;
}

static int aio_probe(char *why, size_t why_bytes)
{
	aio_context_t context = 0;
	int err = sys_setup(1, &context);

	if (err)
		return setup_error(err, 1, why, why_bytes);
	err = try_ring(context, why, why_bytes);
	syscall(SYS_io_destroy, context);
	return err;
}

/* ------------------------------------------------------------ start, stop */

static int context_open(struct aio *a, char *why, size_t why_bytes)
{
	int err;

	/*
	 * The kernel doubles the number for the ring, because half of its
	 * credits may lie with other CPUs; the limit counts what was asked for.
	 */
	err = sys_setup(a->depth + WAKES, &a->context);
	if (err)
		return setup_error(err, a->depth + WAKES, why, why_bytes);
	if (!pirn_aio_ring_open(&a->ring, (void *)a->context)) {
		snprintf(why, why_bytes, "the ring has another layout");
		syscall(SYS_io_destroy, a->context);
		return -EOPNOTSUPP;
	}
	/* A child must not even read it. */
	madvise(a->ring.shared,
		sizeof(*a->ring.shared) + a->ring.nr * sizeof(struct io_event),
		MADV_DONTFORK);
	return 0;
}

static int aio_core_start(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct aio *a = calloc(1, sizeof(*a));
	int err = -ENOMEM;

	if (!a)
		return err;
	a->depth = core->rt->opt.io_depth;
	a->iocb = calloc(a->depth, sizeof(*a->iocb));
	a->pointer = calloc(a->depth, sizeof(*a->pointer));
	if (!a->iocb || !a->pointer)
		goto err_free;
	for (uint32_t i = 0; i < a->depth; i++)
		a->pointer[i] = &a->iocb[i];
	a->readable_fd = open_readable(why, why_bytes);
	if (a->readable_fd < 0) {
		err = a->readable_fd;
		goto err_free;
	}
	err = context_open(a, why, why_bytes);
	if (err)
		goto err_close;
	core->backend = a;
	return 0;

err_close:
	close(a->readable_fd);
err_free:
	free(a->pointer);
	free(a->iocb);
	free(a);
	return err;
}

/*
 * io_destroy waits for RCU: 30 ms were seen, for each core in turn.  Not on the
 * core's own thread, where they would add up to one: others may still wake it.
 */
static void aio_core_stop(struct pirn_core *core)
{
	struct aio *a = core->backend;

	if (!a)
		return;
	syscall(SYS_io_destroy, a->context);
	close(a->readable_fd);
	free(a->pointer);
	free(a->iocb);
	free(a);
	core->backend = NULL;
}

/* ----------------------------------------------------------- pools, files */

/* Every op has its pages pinned for itself: there is nothing to attach. */
static int aio_pool_attach(struct pirn_core *core, struct pirn_pool *pool)
{
	(void)core;
	return (int)pool->owner;
}

static int aio_file_attach(struct pirn_core *core, struct pirn_file *file)
{
	(void)core;
	return file->flags & PIRN_O_BUFFERED ? BY_HELPER : BY_CONTEXT;
}

static void aio_file_detach(struct pirn_core *core, int slot)
{
	(void)core;
	(void)slot;
}

/* ---------------------------------------------------------------- helpers */

/*
 * Whether a result only says that it would have waited, or that this file, on
 * this kernel, cannot tell: then a helper thread does it, and waits.
 */
static bool wants_helper(struct pirn_core *core, const struct pirn_op *op,
			 long result)
{
	if (op->kind > PIRN_IO_WRITE)
		return false;
	if (result == -EOPNOTSUPP)
		op->file->on[core->index].slot = BY_HELPER;
	return result == -EAGAIN || result == -EOPNOTSUPP;
}

/* ------------------------------------------------------------------- path */

static void prepare(struct iocb *iocb, const struct pirn_op *op)
{
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = (uintptr_t)op;
	iocb->aio_fildes = (__u32)op->file->handle;
	if (op->kind > PIRN_IO_WRITE) {
		/* Done by a kernel worker; the same sync as io_uring's. */
		iocb->aio_lio_opcode = op->kind == PIRN_IO_FSYNC ?
				       IOCB_CMD_FSYNC : IOCB_CMD_FDSYNC;
		return;
	}
	iocb->aio_lio_opcode = op->kind == PIRN_IO_READ ? IOCB_CMD_PREAD :
							  IOCB_CMD_PWRITE;
	iocb->aio_rw_flags = RWF_NOWAIT | (op->dsync ? RWF_DSYNC : 0);
	iocb->aio_buf = (uintptr_t)op->buf;
	iocb->aio_nbytes = op->bytes;
	iocb->aio_offset = (__s64)op->offset;
}

/* Known from the start. */
static bool is_for_helper(const struct pirn_op *op)
{
	return op->kind > PIRN_IO_FDATASYNC ||
	       (op->file_slot == BY_HELPER && op->kind <= PIRN_IO_WRITE);
}

/* Stage 2: one op, one iocb. */
static bool aio_queue(struct pirn_core *core, struct pirn_op *op)
{
	struct aio *a = core->backend;

	if (unlikely(core->in_flight >= a->depth))
		return false;
	if (is_for_helper(op)) {
		pirn_host_io_help(core, &a->jobs, op);
	} else {
		if (unlikely(a->first + a->count == a->depth)) {
			memmove(a->iocb, a->iocb + a->first,
				a->count * sizeof(*a->iocb));
			a->first = 0;
		}
		prepare(&a->iocb[a->first + a->count++], op);
	}
	core->queued++;
	return true;
}

/* The first iocb is wrong: that is its own op's result, at the next reap. */
static void refuse_first(struct pirn_core *core, struct aio *a, int err)
{
	struct pirn_op *op = (void *)(uintptr_t)a->iocb[a->first].aio_data;

	if (wants_helper(core, op, err)) {
		pirn_host_io_help(core, &a->jobs, op);
		return;
	}
	op->result = err;
	op->next = a->refused;
	a->refused = op;
}

/* False when the kernel takes no more now. */
static bool submit(struct pirn_core *core, struct aio *a)
{
	while (a->count) {
		int n = sys_submit(a->context, a->count,
				   a->pointer + a->first);

		core->stats.enters++;
		/* Out of memory, or of credits, which cannot be for long. */
		if (unlikely(n == -EAGAIN))
			return false;
		if (likely(n >= 0)) {
			a->in_kernel += (uint32_t)n;
		} else {
			refuse_first(core, a, n);
			n = 1;
		}
		a->first += (uint32_t)n;
		a->count -= (uint32_t)n;
	}
	a->first = 0;
	return true;
}

static void sleep_until(struct pirn_core *core, struct aio *a,
			uint64_t deadline)
{
	struct timespec ts = { 0, 0 };
	uint64_t now;
	long n;

	if (deadline != UINT64_MAX) {
		now = core->ops->now(core);
		if (deadline > now) {
			uint64_t left = deadline - now;

			if (left > WAIT_MOST)
				left = WAIT_MOST;
			ts.tv_sec = (time_t)(left / 1000000000u);
			ts.tv_nsec = (long)(left % 1000000000u);
		}
	}
	core->stats.enters++;
	n = syscall(SYS_io_getevents, a->context, 1L, 1L, &a->taken,
		    deadline == UINT64_MAX ? NULL : &ts);
	if (n < 0 && errno != EINTR)
		pirn_panic("pirn: io_getevents on core %u: %s", core->index,
			   strerror(errno));
	a->has_taken = n == 1;
	pirn_aio_ring_seek(&a->ring);
}

static bool aio_ready(struct pirn_core *core)
{
	struct aio *a = core->backend;

	return pirn_aio_ring_ready(&a->ring) || a->has_taken || a->refused;
}

static void aio_enter(struct pirn_core *core, bool wait, uint64_t deadline)
{
	struct aio *a = core->backend;
	bool all = submit(core, a);

	if (a->jobs.count)
		pirn_helpers_give(core, &a->jobs);
	core->queued = a->count;
	if (wait && !aio_ready(core)) {
		/* Nothing else would end the sleep of a core that has only these. */
		if (unlikely(!all && !a->in_kernel)) {
			uint64_t retry = core->ops->now(core) + RETRY_NS;

			deadline = deadline < retry ? deadline : retry;
		}
		sleep_until(core, a, deadline);
	}
	a->visible = pirn_aio_ring_count(&a->ring) + a->has_taken;
}

struct reaping {
	struct pirn_core *core;
	uint32_t ops;
};

static void reap_event(void *arg, const struct io_event *event)
{
	struct pirn_op *op = (void *)(uintptr_t)event->data;
	struct reaping *r = arg;
	struct aio *a = r->core->backend;

	if (!op)
		return;		/* a wake */
	r->ops++;
	a->in_kernel--;
	if (unlikely(wants_helper(r->core, op, (long)event->res)))
		pirn_host_io_help(r->core, &a->jobs, op);
	else
		pirn_op_complete(r->core, op, (int)event->res);
}

static void aio_reap(struct pirn_core *core)
{
	struct aio *a = core->backend;
	struct reaping r = { .core = core };
	struct pirn_op *op;

	if (a->has_taken) {
		a->has_taken = false;
		reap_event(&r, &a->taken);
	}
	pirn_aio_ring_reap(&a->ring, reap_event, &r);
	if (r.ops > a->visible)
		core->stats.seen_without_enter += r.ops - a->visible;
	a->visible = 0;
	while (unlikely(a->refused)) {
		op = a->refused;
		a->refused = op->next;
		pirn_op_complete(core, op, op->result);
	}
	if (unlikely(a->jobs.count))
		pirn_helpers_give(core, &a->jobs);
}

/*
 * Without a credit for one more event there are events in the ring, or about to
 * be, that are no ops: wakes that the core has not seen.  It will, and then sees
 * what this one is for.  An empty ring means that the kernel is out of memory.
 */
static void aio_wake(struct pirn_core *core)
{
	static const struct timespec moment = { 0, RETRY_NS };
	struct aio *a = core->backend;
	const struct pirn_aio_header *shared = a->ring.shared;
	int err;

	while ((err = post_event(a->context, a->readable_fd))) {
		if (err != -EAGAIN)
			pirn_panic("pirn: waking core %u: %s", core->index,
				   strerror(-err));
		if (__atomic_load_n(&shared->head, __ATOMIC_RELAXED) !=
		    __atomic_load_n(&shared->tail, __ATOMIC_RELAXED))
			return;
		nanosleep(&moment, NULL);
	}
}

const struct pirn_backend_ops pirn_aio_ops = {
	.name = "aio",
	.probe = aio_probe,
	.cpus = pirn_host_cpus,
	.run = pirn_host_run,
	.core_start = aio_core_start,
	.core_stop = aio_core_stop,
	.pool_map = pirn_host_pool_map,
	.pool_unmap = pirn_host_pool_unmap,
	.pool_attach = aio_pool_attach,
	.file_open = pirn_host_open,
	.file_close = pirn_host_close,
	.file_size = pirn_host_size,
	.file_truncate = pirn_host_truncate,
	.file_attach = aio_file_attach,
	.file_detach = aio_file_detach,
	.rename = pirn_host_rename,
	.unlink = pirn_host_unlink,
	.dir_sync = pirn_host_dir_sync,
	.queue = aio_queue,
	.enter = aio_enter,
	.ready = aio_ready,
	.reap = aio_reap,
	.wake = aio_wake,
	.now = pirn_host_now,
	.seed = pirn_host_seed,
};
