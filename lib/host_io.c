// SPDX-License-Identifier: MIT
/*
 * Ops that a helper thread does, because the backend's own way would wait or does
 * not carry them.  To everything above it such an op is like others: the backend's
 * queue took it, it counts as in flight, and it ends in pirn_op_complete().  Only
 * the core sees that end among what is foreign (foreign.c) and not in reap().
 */
#include <sys/uio.h>
#include <unistd.h>

#include "backend.h"
#include "helper.h"
#include "lib.h"

static ssize_t transfer(const struct pirn_op *op, int fd)
{
	struct iovec iov = { .iov_base = op->buf, .iov_len = op->bytes };

	if (op->kind == PIRN_IO_READ)
		return preadv2(fd, &iov, 1, (off_t)op->offset, 0);
	return pwritev2(fd, &iov, 1, (off_t)op->offset,
			op->dsync ? RWF_DSYNC : 0);
}

static void work_op(struct pirn_job *job)
{
	struct pirn_op *op = container_of(job, struct pirn_op, job);
	int fd = (int)op->file->handle;
	ssize_t n;

	n = op->kind == PIRN_IO_FSYNC ? fsync(fd) : transfer(op, fd);
	op->result = n < 0 ? -errno : (int)n;
}

static void op_ended(struct pirn_core *core, struct pirn_job *job)
{
	struct pirn_op *op = container_of(job, struct pirn_op, job);

	pirn_op_complete(core, op, op->result);
}

void pirn_host_io_help(struct pirn_core *core, struct pirn_jobs *jobs,
		       struct pirn_op *op)
{
	op->job.work = work_op;
	op->job.ended = op_ended;
	pirn_job_add(core, jobs, &op->job,
		     op->file->flags & PIRN_O_BUFFERED ?
		     PIRN_HELP_BUFFERED : PIRN_HELP_WOULD_BLOCK);
}
