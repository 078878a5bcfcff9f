/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Path: stage 7, what each read and write of a block device goes through.  Inline,
 * because it is read on its way in submit.c, and write is always known: a read asks
 * nothing that only a write has to answer.  The rest of the stage is block.c.
 */
#ifndef PIRN_BLOCK_H
#define PIRN_BLOCK_H

#include <linux/task_io_accounting_ops.h>

#include "pirn.h"
#include "trace.h"

/* block.c */
void pirn_bio_end_io(struct bio *bio);
bool pirn_block_fits_limits(const struct pirn_op *op, u32 nr_runs);
int pirn_block_check_atomic(const struct pirn_op *op, u64 size);
void pirn_block_issue_cached(struct pirn_op *op);

/*
 * Whether the block layer will take the op as one request.  One it has to split
 * it refuses under NOWAIT.  Errs on the side of no: such an op may wait.
 */
static __always_inline bool pirn_fits(const struct pirn_op *op,
				      const struct request_queue *q,
				      struct pirn_span span)
{
	/* A piece of one page, which every driver takes. */
	if (likely(pirn_op_in_page(op) && !q->limits.chunk_sectors))
		return true;
	return pirn_block_fits_limits(op, span.nr);
}

/* Builds the bio of a read or write; opf: REQ_NOWAIT, or nothing. */
static __always_inline void pirn_build_data(struct pirn_op *op, bool write,
					    struct pirn_span span,
					    blk_opf_t opf)
{
	struct bio *bio = &op->bio;

	if (write) {
		/* As O_DIRECT does: somebody waits for it. */
		opf |= REQ_OP_WRITE | REQ_SYNC | REQ_IDLE;
		if (op->sqe_flags & PIRN_SQE_DSYNC)
			opf |= REQ_FUA;
		if (op->sqe_flags & PIRN_SQE_ATOMIC)
			opf |= PIRN_REQ_ATOMIC;
	}
	if (op->sqe_flags & PIRN_SQE_NOMERGE)
		opf |= REQ_NOMERGE;

	/*
	 * Given the device, bio_init() would ask current for its cgroup, and the
	 * block layer for its priority: the identity has both.
	 */
	bio_init(bio, NULL, span.bvec, 0, opf);
	bio->bi_bdev = op->target->bdev;
	bio_associate_blkg_from_css(bio, op->ident->blkcg);
	bio->bi_ioprio = op->ident->ioprio;
	bio->bi_vcnt = span.nr;
	bio->bi_iter.bi_sector = op->offset >> SECTOR_SHIFT;
	bio->bi_iter.bi_size = op->len;
	pirn_bio_set_skip(bio, span.skip);
	bio->bi_end_io = pirn_bio_end_io;
	/* A table that is not the bio's to change, as bio_iov_bvec_set() says. */
	bio_set_flag(bio, BIO_CLONED);
}

/* Of a write: what does not depend on where it goes. */
static __always_inline int pirn_check_write(const struct pirn_target *target)
{
	if (unlikely(bdev_read_only(target->bdev)))
		return -EPERM;
	if (unlikely(IS_SWAPFILE(target->mapping->host)))
		return -ETXTBSY;
	return 0;
}

/*
 * The checks of a read or write that depend on the device as it is now.  Returns
 * the number of bytes to move, or what the op completes with: 0 or an errno.
 */
static __always_inline int pirn_check_data(const struct pirn_op *op, bool write)
{
	const struct pirn_target *target = op->target;
	struct block_device *bdev = target->bdev;
	u32 block_mask = bdev_logical_block_size(bdev) - 1;
	u64 size;
	int err;

	if (unlikely(!(target->file->f_mode &
		       (write ? FMODE_WRITE : FMODE_READ))))
		return -EBADF;
	err = pirn_check_memory(op);
	if (unlikely(err))
		return err;
	/* With pirn_memory_mask() for the offset in the pool. */
	if (unlikely((op->offset | op->len | op->pool_offset) & block_mask ||
		     op->pool_offset & bdev_dma_alignment(bdev)))
		return -EINVAL;
	if (write) {
		err = pirn_check_write(target);
		if (unlikely(err))
			return err;
	}
	size = bdev_nr_bytes(bdev) & ~(u64)block_mask;
	if (unlikely(op->offset >= size)) {
		/* A device that is gone has no end to read at. */
		if (!size && target->bytes)
			return -EIO;
		return write ? -ENOSPC : 0;
	}
	if (write && unlikely(op->sqe_flags & PIRN_SQE_ATOMIC))
		return pirn_block_check_atomic(op, size);
	return min_t(u64, op->len, size - op->offset);
}

/* Returns false if the device had no room and the op is still the caller's. */
static __always_inline bool pirn_submit_bio(struct pirn_channel *ch,
					    struct pirn_op *op)
{
	ch->again = false;
	ch->issuing = op;
	trace_pirn_issue(op, false);
	submit_bio(&op->bio);
	/* The op may be gone, the channel is not: we are in its ENTER. */
	ch->issuing = NULL;
	return !ch->again;
}

/*
 * Issues a validated READ or WRITE.  Process context, no locks; may block.  Returns
 * false if the device had no room for it and the op is still the caller's.
 */
static __always_inline bool pirn_issue_data(struct pirn_channel *ch,
					    struct pirn_op *op, bool write)
{
	struct block_device *bdev = op->target->bdev;
	struct pirn_span span;
	blk_opf_t opf = 0;
	int len;

	/* As the file's own code does; O_SYNC has that bit, too. */
	if (write && op->target->file->f_flags & O_DSYNC)
		op->sqe_flags |= PIRN_SQE_DSYNC;
	len = pirn_check_data(op, write);
	if (unlikely(len <= 0)) {
		pirn_refuse(op, len);
		return true;
	}
	op->len = len;
	if (unlikely(pirn_cached(op))) {
		pirn_block_issue_cached(op);
		return true;
	}
	span = pirn_pool_span(op->slot->pool, op);
	/* dm refuses NOWAIT on a write that carries a flush. */
	if (!(write && op->sqe_flags & PIRN_SQE_DSYNC) && bdev_nowait(bdev) &&
	    pirn_fits(op, bdev_get_queue(bdev), span)) {
		op->nowait = true;
		opf = REQ_NOWAIT;
	}
	pirn_build_data(op, write, span, opf);
	if (unlikely(!pirn_submit_bio(ch, op)))
		return false;
	/* Reads are accounted by submit_bio(). */
	if (write)
		task_io_account_write(len);
	return true;
}

#endif /* PIRN_BLOCK_H */
