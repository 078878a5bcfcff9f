// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 7 for what is no raw block device.  An op takes the file's own
 * read, write, fsync and fallocate: so it is as coherent with others who use the
 * file as O_DIRECT is, and the file system does what it does for pwrite().
 * Regular files come here with every op; zoned devices, too; other block devices
 * with ops that meet cached pages, and with what is no IO of a bio.  Called by
 * submit.c and block.c in the submitter, by worker.c in the worker; results go to
 * complete.c.
 *
 * In the submitter reads and writes are tried with IOCB_NOWAIT, and what would
 * wait goes to the worker.  So does all else, which waits by nature.  An op that
 * was taken ends in ki_complete, in whatever context the file system has: writes
 * that allocate, convert or are to be durable it completes from a workqueue of
 * its own, reads and overwrites in the interrupt.
 *
 * The file system may still look at the kiocb and the file after ki_complete ran
 * elsewhere: ext4 marks a file as read last of all.  So an op has two holds, of the
 * call and of the completion, as linux-aio's have; who drops the last one ends it.
 *
 * What depends on the thread is looked at in the submitter: RLIMIT_FSIZE, which
 * the worker does not have, and with it O_APPEND.  Its identity the worker takes
 * over.
 */
#include <linux/sched/signal.h>
#include <linux/task_io_accounting_ops.h>
#include <linux/uio.h>
#include <linux/fsnotify.h>
#include <linux/falloc.h>		/* after <linux/fs.h>, which it needs */

#include "pirn.h"
#include "trace.h"

static bool pirn_file_refused(const struct pirn_op *op, ssize_t ret)
{
	return op->nowait && (ret == -EAGAIN || ret == -EOPNOTSUPP);
}

/* Of a read or write that took the file's way.  The op is not the caller's then. */
static void pirn_file_end(struct pirn_op *op, ssize_t ret)
{
	if (pirn_file_refused(op, ret)) {
		op->nowait = false;
		pirn_punt(op);
		return;
	}
	if (ret > 0 && op->code == PIRN_OP_WRITE &&
	    S_ISBLK(file_inode(op->target->file)->i_mode) && pirn_cached(op)) {
		op->len = ret;
		op->written = true;
		pirn_punt(op);
		return;
	}
	/* Restarting the call is not ours to do: it went on meanwhile. */
	if (ret == -ERESTARTSYS || ret == -ERESTARTNOINTR ||
	    ret == -ERESTARTNOHAND || ret == -ERESTART_RESTARTBLOCK)
		ret = -EINTR;
	pirn_complete(op, ret);
}

/* By the call and by the completion of what was queued.  Any context. */
static void pirn_file_let_go(struct pirn_op *op)
{
	/* Orders the use of the op before, and op->ended, with its end. */
	if (atomic_dec_and_test(&op->holds))
		pirn_file_end(op, op->ended);
}

/*
 * Writing to a file counts against a freeze of its file system from before the call
 * until the write has ended, in whatever thread that is: lockdep is told that the
 * thread which began it gave it away, and that the one which ends it took it over.
 */
static bool pirn_begin_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	if (!(iocb->ki_flags & IOCB_NOWAIT))
		sb_start_write(sb);
	else if (!sb_start_write_trylock(sb))
		return false;
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

static void pirn_end_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	__sb_writers_acquired(sb, SB_FREEZE_WRITE);
	sb_end_write(sb);
}

/*
 * vfs_iocb_iter_write(), which since 6.8 waits for a frozen file system whatever
 * the flags say.
 */
static ssize_t pirn_iter_write(struct file *file, struct kiocb *iocb,
			       struct iov_iter *iter)
{
	ssize_t ret;

	if (!file->f_op->write_iter)
		return -EINVAL;
	ret = rw_verify_area(WRITE, file, &iocb->ki_pos, iov_iter_count(iter));
	if (ret)
		return ret;
	if (!pirn_begin_write(iocb))
		return -EAGAIN;
	ret = file->f_op->write_iter(iocb, iter);
	if (ret != -EIOCBQUEUED)
		pirn_end_write(iocb);
	if (ret > 0)
		fsnotify_modify(file);
	return ret;
}

/* Any context. */
static void pirn_file_complete(struct kiocb *iocb, long ret)
{
	struct pirn_op *op = container_of(iocb, struct pirn_op, iocb);

	if (op->code == PIRN_OP_WRITE)
		pirn_end_write(iocb);
	op->ended = ret;
	pirn_file_let_go(op);
}

/* Reads or writes as pread() and pwrite() on the file would, but not waiting. */
static void pirn_file_rw(struct pirn_op *op, bool nowait)
{
	struct file *file = op->target->file;
	bool write = op->code == PIRN_OP_WRITE;
	struct pirn_span span = pirn_pool_span(op->slot->pool, op);
	struct kiocb *iocb = &op->iocb;
	struct iov_iter iter;
	ssize_t ret;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, span.bvec,
		      span.nr, op->len);
	iter.iov_offset = span.skip;	/* not past the first bio_vec */

	/* Not init_sync_kiocb(), which asks the thread for its ioprio. */
	*iocb = (struct kiocb) {
		.ki_filp	= file,
		.ki_complete	= pirn_file_complete,
		.ki_pos		= op->offset,
		.ki_flags	= file->f_iocb_flags,
		.ki_ioprio	= op->ident->ioprio,
	};
	/* The file was opened with it; fcntl() may have taken it away since. */
	iocb->ki_flags |= IOCB_DIRECT;
	/* What the limit of file sizes was looked at for. */
	iocb->ki_flags &= ~IOCB_APPEND;
	if (op->sqe_flags & PIRN_OP_APPENDS)
		iocb->ki_flags |= IOCB_APPEND;
	if (write)
		iocb->ki_flags |= IOCB_WRITE;
	if (nowait)
		iocb->ki_flags |= IOCB_NOWAIT;
	if (op->sqe_flags & PIRN_SQE_DSYNC)
		iocb->ki_flags |= IOCB_DSYNC;

	op->nowait = nowait;
	atomic_set(&op->holds, 2);
	trace_pirn_issue(op, true);
	ret = write ? pirn_iter_write(file, iocb, &iter) :
		      vfs_iocb_iter_read(file, iocb, &iter);
	if (ret == -EIOCBQUEUED) {
		pirn_file_let_go(op);
	} else if (pirn_file_refused(op, ret)) {
		op->nowait = false;
		pirn_punt_submitted(op);
	} else {
		pirn_file_end(op, ret);
	}
}

/*
 * What of the op passes the submitter's RLIMIT_FSIZE: all of it, less, or
 * nothing, for which pwrite() has a signal besides the errno.
 */
static int pirn_file_limit(const struct file *file, u64 pos, u64 *bytes)
{
	unsigned long limit = rlimit(RLIMIT_FSIZE);

	if (limit == RLIM_INFINITY || !S_ISREG(file_inode(file)->i_mode))
		return 0;
	if (pos >= limit) {
		send_sig(SIGXFSZ, current, 0);
		return -EFBIG;
	}
	*bytes = min_t(u64, *bytes, limit - pos);
	return 0;
}

/* The checks of a read or write that are not the file's. */
static int pirn_file_check_data(struct pirn_op *op)
{
	const struct pirn_target *target = op->target;
	struct file *file = target->file;
	bool write = op->code == PIRN_OP_WRITE;
	u64 pos = op->offset, bytes = op->len;
	int err;

	if (!(file->f_mode & (write ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;
	err = pirn_check_memory(op);
	if (err)
		return err;
	if ((op->offset | op->len) & target->block_mask ||
	    op->pool_offset & target->memory_mask || op->offset > LLONG_MAX)
		return -EINVAL;
	/* Files take atomic writes from user memory only. */
	if (op->sqe_flags & PIRN_SQE_ATOMIC)
		return -EOPNOTSUPP;
	if (!write)
		return 0;
	if (file->f_flags & O_APPEND && S_ISREG(file_inode(file)->i_mode)) {
		/* How long the file is by then is not known here, nor the limit there. */
		if (rlimit(RLIMIT_FSIZE) != RLIM_INFINITY)
			return -EOPNOTSUPP;
		op->sqe_flags |= PIRN_OP_APPENDS;
	}
	err = pirn_file_limit(file, pos, &bytes);
	op->len = bytes;
	return err;
}

/* The same for FALLOCATE, of which the file checks all else. */
static int pirn_file_check_allocate(const struct pirn_op *op)
{
	const struct file *file = op->target->file;
	u64 end = op->offset + op->bytes;
	u64 within = 1;

	if (op->offset > LLONG_MAX || op->bytes > LLONG_MAX - op->offset)
		return -EFBIG;
	/* These two make no file longer. */
	if (op->mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_COLLAPSE_RANGE) ||
	    !op->bytes)
		return 0;
	/* As for a write: how long the file is by then is not known here. */
	if (op->mode & FALLOC_FL_INSERT_RANGE)
		return rlimit(RLIMIT_FSIZE) == RLIM_INFINITY ? 0 : -EOPNOTSUPP;
	return pirn_file_limit(file, end - 1, &within);
}

/* Issues an op that is not for block.c.  The submitter; may block a little. */
void pirn_file_issue(struct pirn_op *op)
{
	const struct file *file = op->target->file;
	int err = 0;

	if (pirn_op_moves_data(op))
		err = pirn_file_check_data(op);
	else if (op->code == PIRN_OP_FALLOCATE)
		err = pirn_file_check_allocate(op);
	if (err) {
		pirn_refuse(op, err);
		return;
	}
	if (pirn_op_moves_data(op) && file->f_mode & FMODE_NOWAIT)
		pirn_file_rw(op, true);
	else
		pirn_punt_submitted(op);
}

/*
 * Pages cached for what is discarded would give it back later.  Under the lock
 * that keeps readers of the device from bringing in new ones.
 */
static int pirn_discard(const struct pirn_op *op)
{
	const struct pirn_target *target = op->target;
	struct address_space *mapping = target->mapping;
	struct block_device *bdev;
	loff_t last = op->offset + op->bytes - 1;
	u64 size;
	int err;

	if (!S_ISBLK(file_inode(target->file)->i_mode))
		return -EOPNOTSUPP;
	bdev = I_BDEV(mapping->host);
	size = bdev_nr_bytes(bdev);
	if (!(target->file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (bdev_read_only(bdev))
		return -EPERM;
	if (IS_SWAPFILE(mapping->host))
		return -ETXTBSY;
	/* Newer kernels would do nothing, and call it done. */
	if (!bdev_max_discard_sectors(bdev))
		return -EOPNOTSUPP;
	if (!op->bytes || op->offset > size || op->bytes > size - op->offset ||
	    (op->offset | op->bytes) & (bdev_logical_block_size(bdev) - 1))
		return -EINVAL;

	filemap_invalidate_lock(mapping);
	err = filemap_write_and_wait_range(mapping, op->offset, last);
	if (!err)
		err = invalidate_inode_pages2_range(mapping,
						    op->offset >> PAGE_SHIFT,
						    last >> PAGE_SHIFT);
	if (!err)
		err = blkdev_issue_discard(bdev, op->offset >> SECTOR_SHIFT,
					   op->bytes >> SECTOR_SHIFT, GFP_KERNEL);
	filemap_invalidate_unlock(mapping);
	return err;
}

/* All of an op that waits.  The worker, with the submitter's identity. */
void pirn_file_work(struct pirn_op *op)
{
	struct file *file = op->target->file;

	switch (op->code) {
	case PIRN_OP_FSYNC:
	case PIRN_OP_FDATASYNC:
		pirn_complete(op, vfs_fsync(file,
					    op->code == PIRN_OP_FDATASYNC));
		break;
	case PIRN_OP_FALLOCATE:
		pirn_file_end(op, vfs_fallocate(file, op->mode, op->offset,
						op->bytes));
		break;
	case PIRN_OP_DISCARD:
		pirn_complete(op, pirn_discard(op));
		break;
	default:
		pirn_file_rw(op, false);
		break;
	}
}
