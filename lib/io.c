// SPDX-License-Identifier: MIT
/*
 * Reads and writes: stages 1 and 10 of a read.
 *
 * pirn_pread() fills an op on the fiber's own stack, gives it to the backend's
 * queue and stops the fiber; the reactor submits what a turn queued with one
 * enter (at once when io_batch is reached), and when the backend's reap finds
 * the completion, pirn_op_complete() makes the fiber runnable again.
 */
#include <fcntl.h>

#include "backend.h"
#include "lib.h"
#include "schedule.h"
#include "wait.h"

static inlined bool op_queue(struct pirn_core *core, struct pirn_op *op)
{
	if (unlikely(core->times))
		op->asked = pirn_core_time(core);
	if (unlikely(!core->ops->queue(core, op)))
		return false;
	core->in_flight++;
	core->stats.submitted++;
	return true;
}

bool pirn_op_queue(struct pirn_core *core, struct pirn_op *op)
{
	return !core->pending.first && op_queue(core, op);
}

bool pirn_op_queue_now(struct pirn_core *core, struct pirn_op *op)
{
	return op_queue(core, op);
}

int pirn_op_queue_join(struct pirn_core *core, struct pirn_op **ops,
		       uint32_t nr)
{
	int took = core->ops->queue_join ?
		   core->ops->queue_join(core, ops, nr) : -1;

	for (int i = 0; core->times && i < took; i++)
		ops[i]->asked = pirn_core_time(core);
	if (took > 0) {
		core->in_flight += (uint32_t)took;
		core->stats.submitted += (uint32_t)took;
	}
	return took;
}

void pirn_ops_queue_pending(struct pirn_core *core)
{
	struct pirn_wait *wait;

	while ((wait = core->pending.first)) {
		struct pirn_op_wait *w = container_of(wait, struct pirn_op_wait,
						      wait);
		struct pirn_op *op = w->op;

		if (w->batch ? !pirn_batch_queue(core, w->batch) :
			       !op_queue(core, op))
			return;
		pirn_waiters_remove(wait);
		/* Issued: nothing ends it early, unless it was given. */
		if (op->ends == PIRN_ENDS_GIVE)
			op->issued = true;
		else
			op->fiber->wait = NULL;
	}
}

/* With nothing else to run the reactor submits, and waits with it. */
static inline void op_batch(struct pirn_core *core)
{
	if (unlikely(core->queued >= core->submit_at) && core->runnable.head)
		pirn_core_enter(core, false, UINT64_MAX);
}

void pirn_op_batch(struct pirn_core *core)
{
	op_batch(core);
}

void pirn_op_pending_left(struct pirn_core *core, struct pirn_wait *wait)
{
	struct pirn_op_wait *w = container_of(wait, struct pirn_op_wait, wait);

	(void)core;
	w->op->refused = true;
	w->op->result = wait->result;
}

/* Waits for room and then for the end; @first: the first can be broken off. */
static __attribute__((noinline)) void op_run_pending(struct pirn_core *core,
						     struct pirn_op *op,
						     bool first)
{
	struct pirn_fiber *self = core->current;
	struct pirn_op_wait w = {
		.op = op, .wait = { .fiber = self, .left = pirn_op_pending_left },
	};

	pirn_waiters_add(&core->pending, &w.wait);
	if (first) {
		self->wait = &w.wait;
		self->doing = "IO that waits for room (io_depth)";
	}
	op_batch(core);
	pirn_fiber_stop(core);
}

/*
 * Parks until the op has ended.  @on: its file, on this core.  @first: nothing of
 * what the caller asked for was issued before, so the end of its scope may still
 * refuse it.
 */
static inlined int op_run_on(struct pirn_core *core, struct pirn_op *op,
			     struct pirn_file_slot *on, bool first)
{
	struct pirn_fiber *self = core->current;

	if (unlikely(self->scope) && first) {
		int err = pirn_wait_refused(self);

		if (err) {
			op->refused = true;
			return err;
		}
	}
	op->fiber = self;
	self->op = op;
	on->busy++;
	if (likely(!core->pending.first) && likely(op_queue(core, op))) {
		op_batch(core);
		pirn_fiber_stop(core);
	} else {
		op_run_pending(core, op, first);
	}
	self->op = NULL;	/* the record goes with its caller's frame */
	on->busy--;
	return op->result;
}

static inlined int op_run(struct pirn_core *core, struct pirn_op *op, bool first)
{
	return op_run_on(core, op, &op->file->on[core->index], first);
}

int pirn_op_run(struct pirn_core *core, struct pirn_op *op)
{
	return op_run(core, op, true);
}

/* The first op in this core's own pool, and all in those of others. */
static __attribute__((noinline)) int
op_memory_attach(struct pirn_core *core, struct pirn_op *op, const void *buf,
		 size_t bytes)
{
	struct pirn_pool *pool = pirn_pool_of(core, buf);
	uint64_t offset = pool ? (uint64_t)((const char *)buf - pool->base) : 0;
	int32_t *slot;

	if (!pool || bytes > pool->bytes - offset)
		return pirn_fail(core, -EFAULT,
				 "the buffer %p of %zu bytes is not memory from pirn_buf_alloc()",
				 buf, bytes);
	slot = &core->pool_slot[pool->owner];
	if (*slot < 0)
		*slot = core->ops->pool_attach(core, pool);
	if (*slot < 0)
		return *slot;
	if (pool == &core->pool)
		core->own_pool_slot = *slot;
	op->pool_slot = *slot;
	op->pool_offset = offset;
	return 0;
}

/* Says which memory [buf, buf + bytes) is. */
static inlined int op_memory(struct pirn_core *core, struct pirn_op *op,
			     const void *buf, size_t bytes)
{
	uint64_t offset = (uint64_t)((const char *)buf - core->pool.base);

	if (unlikely(offset >= core->pool.bytes) ||
	    unlikely(bytes > core->pool.bytes - offset) ||
	    unlikely(core->own_pool_slot < 0))
		return op_memory_attach(core, op, buf, bytes);
	op->pool_slot = core->own_pool_slot;
	op->pool_offset = offset;
	return 0;
}

/* Which of the three is wrong, in words. */
static int bad_range(struct pirn_core *core, const struct pirn_file *file,
		     const void *buf, size_t bytes, uint64_t offset)
{
	if ((offset | bytes) & (file->block_bytes - 1))
		return pirn_fail(core, -EINVAL,
				 "offset %llu and length %zu are not multiples of the block size %u",
				 (unsigned long long)offset, bytes,
				 file->block_bytes);
	if ((uintptr_t)buf & (file->memory_align - 1))
		return pirn_fail(core, -EINVAL,
				 "the buffer is not aligned to %u bytes",
				 file->memory_align);
	return pirn_fail(core, -EINVAL,
			 "offset %llu and length %zu pass 2^63",
			 (unsigned long long)offset, bytes);
}

static inlined int check_range(struct pirn_core *core,
			      const struct pirn_file *file, const void *buf,
			      size_t bytes, uint64_t offset)
{
	/* The last: the top bit of either or of the sum, which cannot hide one. */
	if (unlikely(((offset | bytes) & (file->block_bytes - 1)) |
		     ((uintptr_t)buf & (file->memory_align - 1)) |
		     (offset | bytes | (offset + bytes)) >> 63))
		return bad_range(core, file, buf, bytes, offset);
	return 0;
}

/* An error of making durable stays with the file: the kernel tells it once. */
static void sync_failed(struct pirn_file *file, int error)
{
	int none = 0;

	atomic_compare_exchange_strong(&file->fsync_error, &none, error);
}

static int lost_before(struct pirn_core *core, int error)
{
	return pirn_fail(core, error,
			 "a sync of this file failed: what was written before may be lost");
}

/*
 * A write that was to be durable and failed may have used up such an error, but
 * not when its answer is that the write itself was wrong, or had no room.
 */
static void dsync_failed(struct pirn_file *file, int error)
{
	static const int requests[] = {
		-EINVAL, -EBADF, -EFAULT, -EPERM, -EROFS, -ENOSPC, -EFBIG,
		-ENXIO, -ETXTBSY,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++)
		if (error == requests[i])
			return;
	sync_failed(file, error);
}

int pirn_device_error(struct pirn_core *core, int error)
{
	if (error == -ETIMEDOUT || error == -ECANCELED)
		return pirn_fail(core, -EIO, "the device gave up: %s",
				 strerror(-error));
	return pirn_fail_plain(core, error);
}

static inlined int op_prepare(struct pirn_core *core, struct pirn_op *op,
			     struct pirn_file *file,
			     const struct pirn_file_slot *on, void *buf,
			     size_t bytes, uint64_t offset)
{
	int err;

	op->file = file;
	err = check_range(core, file, buf, bytes, offset);
	if (unlikely(err))
		return err;
	err = op_memory(core, op, buf, bytes);
	if (unlikely(err))
		return err;
	op->file_slot = on->slot;
	if (unlikely(op->file_slot < 0)) {
		op->file_slot = pirn_file_attach(core, file);
		if (op->file_slot < 0)
			return op->file_slot;
	}
	op->buf = buf;
	op->offset = offset;
	op->bytes = (uint32_t)bytes;
	if (unlikely(bytes > PIRN_MAX_IO))
		op->bytes = PIRN_MAX_IO;
	return 0;
}

int pirn_op_prepare(struct pirn_core *core, struct pirn_op *op, void *buf,
		    size_t bytes, uint64_t offset)
{
	return op_prepare(core, op, op->file, &op->file->on[core->index], buf,
			  bytes, offset);
}

int pirn_op_error(struct pirn_core *core, struct pirn_op *op)
{
	int error = pirn_device_error(core, op->result);

	if (op->dsync)
		dsync_failed(op->file, error);
	return error;
}

/* What is left to do once the first op has not done it all: @n is its result. */
static __attribute__((noinline)) ssize_t
transfer_rest(struct pirn_core *core, struct pirn_op *op, size_t bytes, int n)
{
	size_t done = 0;

	for (;;) {
		if (n < 0) {
			if (op->refused)
				return pirn_fail_plain(core, n);
			return pirn_op_error(core, op);
		}
		done += (size_t)n;
		if (done == bytes || !n || done & (op->file->block_bytes - 1))
			return (ssize_t)done;
		op->buf = (char *)op->buf + n;
		op->pool_offset += (uint64_t)n;
		op->offset += (uint64_t)n;
		op->bytes = bytes - done < PIRN_MAX_IO ?
			    (uint32_t)(bytes - done) : PIRN_MAX_IO;
		n = op_run(core, op, false);
	}
}

/*
 * The common half of pread and pwrite: one op after the other until all is done,
 * one ends short, or one fails.  Returns what was transferred, or the error.
 */
static inlined ssize_t transfer(struct pirn_core *core, struct pirn_op *op,
				struct pirn_file *file, void *buf, size_t bytes,
				uint64_t offset)
{
	struct pirn_file_slot *on = &file->on[core->index];
	int n;

	if (unlikely(!bytes))
		return check_range(core, file, buf, bytes, offset);
	n = op_prepare(core, op, file, on, buf, bytes, offset);
	if (unlikely(n))
		return n;
	n = op_run_on(core, op, on, true);
	if (likely(n >= 0 && (size_t)n == bytes))
		return n;
	return transfer_rest(core, op, bytes, n);
}

/* Why not; or 0, when it is only not attached yet. */
static __attribute__((noinline)) int read_refused(struct pirn_core *core,
						  const struct pirn_file *file)
{
	int err = pirn_file_check(core, file);

	if (err)
		return err;
	if ((file->flags & O_ACCMODE) == O_WRONLY)
		return pirn_fail(core, -EBADF,
				 "the file is not open for reading");
	return 0;
}

static inlined int read_check(struct pirn_core *core,
			      const struct pirn_file *file)
{
	if (likely(file && file->rt == core->rt && file->on[core->index].reads))
		return 0;
	return read_refused(core, file);
}

int pirn_read_check(struct pirn_core *core, const struct pirn_file *file)
{
	return read_check(core, file);
}

static __attribute__((noinline)) int write_refused(struct pirn_core *core,
						   const struct pirn_file *file)
{
	int err = pirn_file_check(core, file);

	if (err)
		return err;
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return pirn_fail(core, -EBADF,
				 "the file is not open for writing");
	return 0;
}

static inlined int write_check(struct pirn_core *core,
			       const struct pirn_file *file)
{
	if (likely(file && file->rt == core->rt && file->on[core->index].writes))
		return 0;
	return write_refused(core, file);
}

int pirn_write_check(struct pirn_core *core, const struct pirn_file *file)
{
	return write_check(core, file);
}

/* ---------------------------------------------------------------- public */

ssize_t pirn_pread(struct pirn_file *file, void *buf, size_t bytes,
		   uint64_t offset)
{
	struct pirn_core *core = pirn_this();
	struct pirn_op op;
	int err;

	if (unlikely(!core))
		return -EPERM;
	err = read_check(core, file);
	if (unlikely(err))
		return err;
	op.kind = PIRN_IO_READ;
	op.dsync = false;
	op.ends = PIRN_ENDS_FIBER;
	op.refused = false;
	return transfer(core, &op, file, buf, bytes, offset);
}

ssize_t pirn_pwrite(struct pirn_file *file, const void *buf, size_t bytes,
		    uint64_t offset, unsigned int flags)
{
	struct pirn_core *core = pirn_this();
	struct pirn_op op;
	ssize_t done;
	int err;

	if (unlikely(!core))
		return -EPERM;
	if (unlikely(flags & ~PIRN_DSYNC))
		return pirn_fail(core, -EINVAL,
				 "pirn_pwrite: flags 0x%x are not known", flags);
	err = write_check(core, file);
	if (unlikely(err))
		return err;
	if (flags & PIRN_DSYNC) {
		err = atomic_load(&file->fsync_error);
		if (unlikely(err))
			return lost_before(core, err);
	}
	op.kind = PIRN_IO_WRITE;
	op.dsync = flags & PIRN_DSYNC;
	op.ends = PIRN_ENDS_FIBER;
	op.refused = false;
	done = transfer(core, &op, file, (void *)(uintptr_t)buf, bytes, offset);
	if (unlikely(done >= 0 && (size_t)done < bytes))
		return pirn_fail(core, -ENOSPC,
				 "%zd of %zu bytes were written, then the end was reached",
				 done, bytes);
	return done;
}

/*
 * One sync of a file after the other, all on the core that opened it: of two at
 * the same time the kernel tells only one of an error.
 */
static int sync_at_home(struct pirn_file *file, enum pirn_op_kind kind)
{
	struct pirn_core *core = pirn_this_core;
	struct pirn_op op = { .kind = kind, .file = file };
	struct pirn_wait wait;
	int err;

	if (file->syncing) {
		err = pirn_wait_named(core, kind == PIRN_IO_FSYNC ?
				      "pirn_fsync" : "pirn_fdatasync", &file->sync_waiting,
				      &wait, NULL, PIRN_NEVER);
		if (err)
			return err;
		/* Handed over, still syncing. */
	}
	file->syncing = true;
	op.file_slot = pirn_file_slot(core, file);
	if (op.file_slot < 0) {
		err = op.file_slot;	/* never issued: nothing is lost by it */
	} else {
		err = op_run(core, &op, true);
		if (err && !op.refused) {
			err = pirn_device_error(core, err);
			sync_failed(file, err);
		} else if (!err) {
			err = atomic_load(&file->fsync_error);
		}
	}
	if (file->sync_waiting.first)
		pirn_wait_end(core, file->sync_waiting.first, 0);
	else
		file->syncing = false;
	return err;
}

static int fsync_at_home(void *arg)
{
	return sync_at_home(arg, PIRN_IO_FSYNC);
}

static int fdatasync_at_home(void *arg)
{
	return sync_at_home(arg, PIRN_IO_FDATASYNC);
}

static int sync_file(struct pirn_file *file, int (*at_home)(void *file))
{
	struct pirn_core *core = pirn_this();
	struct pirn_file_slot *on;
	int err, result = 0;

	if (!core)
		return -EPERM;
	err = pirn_file_check(core, file);
	if (err)
		return err;
	on = &file->on[core->index];
	err = atomic_load(&file->fsync_error);
	if (!err) {
		on->busy++;
		if (file->home == core->index)
			err = at_home(file);
		else
			err = pirn_call(file->home, at_home, file, &result);
		on->busy--;
		if (!err)
			err = result;
		else if (file->home != core->index)
			return err;	/* it never came to a sync */
	}
	/* No device says these: pirn_device_error(). */
	if (err == -ECANCELED || err == -ETIMEDOUT)
		return pirn_fail_plain(core, err);
	return err ? lost_before(core, err) : 0;
}

int pirn_fsync(struct pirn_file *file)
{
	return sync_file(file, fsync_at_home);
}

int pirn_fdatasync(struct pirn_file *file)
{
	return sync_file(file, fdatasync_at_home);
}
