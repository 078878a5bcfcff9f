// SPDX-License-Identifier: MIT
/*
 * Ops that a helper thread does, because the backend's own way would wait or does
 * not carry them.  To everything above it such an op is like others: the backend's
 * queue took it, it counts as in flight, and it ends in pirn_op_complete().  Only
 * the core sees that end among what is foreign (foreign.c) and not in reap().
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend.h"
#include "helper.h"
#include "lib.h"

static ssize_t do_op(const struct pirn_op *op, int fd)
{
	struct iovec iov = { .iov_base = op->buf, .iov_len = op->bytes };
	uint64_t range[2] = { op->offset, op->range };

	switch (op->kind) {
	case PIRN_IO_READ:
		return preadv2(fd, &iov, 1, (off_t)op->offset, 0);
	case PIRN_IO_WRITE:
		return pwritev2(fd, &iov, 1, (off_t)op->offset,
				op->dsync ? RWF_DSYNC : 0);
	case PIRN_IO_FALLOCATE:
		return fallocate(fd, (int)op->mode, (off_t)op->offset,
				 (off_t)op->range);
	case PIRN_IO_DISCARD:
		return ioctl(fd, BLKDISCARD, range);
	case PIRN_IO_FDATASYNC:
		return fdatasync(fd);
	default:
		return fsync(fd);
	}
}

static void work_op(struct pirn_job *job)
{
	struct pirn_op *op = container_of(job, struct pirn_op, job);
	ssize_t n = do_op(op, (int)op->file->handle);

	op->result = n < 0 ? -errno : (int)n;
}

static void op_ended(struct pirn_core *core, struct pirn_job *job)
{
	struct pirn_op *op = container_of(job, struct pirn_op, job);

	pirn_op_complete(core, op, op->result);
}

static enum pirn_help reason(const struct pirn_op *op)
{
	if (op->kind == PIRN_IO_FALLOCATE || op->kind == PIRN_IO_DISCARD)
		return PIRN_HELP_SPACE;
	return op->file->flags & PIRN_O_BUFFERED ? PIRN_HELP_BUFFERED :
						   PIRN_HELP_WOULD_BLOCK;
}

void pirn_host_io_help(struct pirn_core *core, struct pirn_jobs *jobs,
		       struct pirn_op *op)
{
	op->job.work = work_op;
	op->job.ended = op_ended;
	pirn_job_add(core, jobs, &op->job, reason(op));
}
