// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 7, and the first half of the way back.  An op becomes a bio on
 * the pool's own pages and goes to the block layer; its bi_end_io comes back
 * from there, mostly in an interrupt, and hands the result to complete.c.
 * Called by submit.c in the submitter; by worker.c for an op that found no room
 * at the first attempt.
 *
 * The bio is embedded in the op and made anew for each attempt: one that came
 * back has been remapped, advanced and stripped by whoever was below.  For the
 * same reason a result is computed from the op and never from the bio's iterator.
 *
 * EAGAIN.  A bio with REQ_NOWAIT may be refused in two ways.  Inside our own
 * submit_bio(): then the op is still the submitter's, who learns it through
 * pirn_channel.again.  Or any time later, also before submit_bio() returned but
 * from elsewhere: then the op is bi_end_io's, who gives it to the worker.  Which
 * of the two it is only bi_end_io decides, and it can without a race: it runs
 * inside that submit_bio() exactly if it runs in the submitting task, not in an
 * interrupt of it, and that task is just issuing this op.
 */
#include <linux/task_io_accounting_ops.h>

#include "pirn.h"
#include "trace.h"

/* EAGAIN, or EOPNOTSUPP if the device lost its NOWAIT after we looked. */
static bool pirn_bio_refused(const struct pirn_op *op, blk_status_t status)
{
	return op->nowait &&
	       (status == BLK_STS_AGAIN || status == BLK_STS_NOTSUPP);
}

/*
 * Pages that came while a write was under way, by readahead mostly, may hold what
 * was there before it.  Those that come now read from the device what it wrote.
 * The device's own code does this only for writes that its caller waits for.
 */
void pirn_block_written(struct pirn_op *op)
{
	loff_t last = op->offset + op->len - 1;

	invalidate_inode_pages2_range(op->target->mapping,
				      op->offset >> PAGE_SHIFT,
				      last >> PAGE_SHIFT);
	pirn_complete(op, op->len);
}

static void pirn_bio_end_io(struct bio *bio)
{
	struct pirn_op *op = container_of(bio, struct pirn_op, bio);
	struct pirn_channel *ch = op->channel;
	int err;

	if (likely(!bio->bi_status)) {
		if (op->code == PIRN_OP_WRITE && pirn_cached(op)) {
			op->written = true;
			pirn_punt(op);
			return;
		}
		pirn_complete(op, op->len);
		return;
	}
	if (pirn_bio_refused(op, bio->bi_status)) {
		if (in_task() && READ_ONCE(ch->submitter) == current &&
		    ch->issuing == op)
			ch->again = true;
		else
			pirn_punt(op);
		return;
	}
	err = blk_status_to_errno(bio->bi_status);
	/* As the file's own fsync: a device without a cache has nothing to flush. */
	if (err == -EOPNOTSUPP && !pirn_op_moves_data(op))
		err = 0;
	pirn_complete(op, err);
}

/* pirn_fits() for an op of more than a page, or on a device with chunks. */
static noinline bool pirn_fits_limits(const struct pirn_op *op, u32 nr_runs)
{
	struct block_device *bdev = op->target->bdev;
	struct request_queue *q = bdev_get_queue(bdev);
	u32 chunk = q->limits.chunk_sectors;
	u32 block = queue_physical_block_size(q) >> SECTOR_SHIFT;
	u32 sectors = op->len >> SECTOR_SHIFT;
	u64 sector = get_start_sect(bdev) + (op->offset >> SECTOR_SHIFT);
	unsigned long piece;
	u32 start;

	if (chunk) {
		u64 in_chunk = sector;

		if (do_div(in_chunk, chunk) + sectors > chunk)
			return false;
	}
	/* The end of a request is kept on a physical block, if it can be. */
	start = sector & (block - 1);
	if (start + sectors > round_down(start + queue_max_sectors(q), block))
		return false;
	/* Each run can be cut at both ends, and once per piece. */
	piece = min_t(unsigned long, queue_max_segment_size(q),
		      queue_segment_boundary(q));
	return 2 * nr_runs + op->len / piece <= queue_max_segments(q);
}

/*
 * Whether the block layer will take the op as one request.  One it has to split
 * it refuses under NOWAIT.  Errs on the side of no: such an op may wait.
 */
static bool pirn_fits(const struct pirn_op *op, struct request_queue *q,
		      struct pirn_span span)
{
	/* A piece of one page, which every driver takes. */
	if (likely(span.nr == 1 && !q->limits.chunk_sectors &&
		   op->bvec.bv_offset + op->bvec.bv_len <= PAGE_SIZE))
		return true;
	return pirn_fits_limits(op, span.nr);
}

/* Builds the bio of a read or write, without REQ_NOWAIT. */
static __always_inline void pirn_build_data(struct pirn_op *op,
					    struct pirn_span span)
{
	struct bio *bio = &op->bio;
	blk_opf_t opf = REQ_OP_READ;

	if (op->code == PIRN_OP_WRITE) {
		/* As O_DIRECT does: somebody waits for it. */
		opf = REQ_OP_WRITE | REQ_SYNC | REQ_IDLE;
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

/* What RWF_ATOMIC asks, too.  The least and most the block layer looks at. */
static noinline int pirn_check_atomic(const struct pirn_op *op, u64 size)
{
	if (!pirn_can_write_atomic(op->target->bdev))
		return -EOPNOTSUPP;
	if (!is_power_of_2(op->len) || op->offset & (op->len - 1) ||
	    op->len > size - op->offset)
		return -EINVAL;
	return op->len;
}

/*
 * The checks of a read or write that depend on the device as it is now.  Returns
 * the number of bytes to move, or what the op completes with: 0 or an errno.
 */
static __always_inline int pirn_check_data(const struct pirn_op *op)
{
	const struct pirn_target *target = op->target;
	struct block_device *bdev = target->bdev;
	bool write = op->code == PIRN_OP_WRITE;
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
		if (unlikely(bdev_read_only(bdev)))
			return -EPERM;
		if (unlikely(IS_SWAPFILE(target->mapping->host)))
			return -ETXTBSY;
	}
	size = bdev_nr_bytes(bdev) & ~(u64)block_mask;
	if (unlikely(op->offset >= size)) {
		/* A device that is gone has no end to read at. */
		if (!size && target->bytes)
			return -EIO;
		return write ? -ENOSPC : 0;
	}
	if (unlikely(op->sqe_flags & PIRN_SQE_ATOMIC))
		return pirn_check_atomic(op, size);
	return min_t(u64, op->len, size - op->offset);
}

/* Returns false if the device had no room and the op is still the caller's. */
static bool pirn_submit_bio(struct pirn_op *op)
{
	struct pirn_channel *ch = op->channel;

	ch->again = false;
	ch->issuing = op;
	trace_pirn_issue(op, false);
	submit_bio(&op->bio);
	/* The op may be gone, the channel is not: we are in its ENTER. */
	ch->issuing = NULL;
	return !ch->again;
}

/* The file's own path knows of cached pages, but of atomic writes from here not. */
static noinline void pirn_issue_cached(struct pirn_op *op)
{
	if (op->sqe_flags & PIRN_SQE_ATOMIC)
		pirn_refuse(op, -EBUSY);
	else
		pirn_punt_submitted(op);
}

static bool pirn_issue_data(struct pirn_op *op)
{
	bool write = op->code == PIRN_OP_WRITE;
	struct block_device *bdev = op->target->bdev;
	struct pirn_span span;
	int len;

	/* As the file's own code does; O_SYNC has that bit, too. */
	if (write && op->target->file->f_flags & O_DSYNC)
		op->sqe_flags |= PIRN_SQE_DSYNC;
	len = pirn_check_data(op);
	if (unlikely(len <= 0)) {
		pirn_refuse(op, len);
		return true;
	}
	op->len = len;
	if (unlikely(pirn_cached(op))) {
		pirn_issue_cached(op);
		return true;
	}
	span = pirn_pool_span(op->slot->pool, op);
	pirn_build_data(op, span);
	/* dm refuses NOWAIT on a write that carries a flush. */
	if (!(op->sqe_flags & PIRN_SQE_DSYNC) && bdev_nowait(bdev) &&
	    pirn_fits(op, bdev_get_queue(bdev), span)) {
		op->nowait = true;
		op->bio.bi_opf |= REQ_NOWAIT;
	}
	if (unlikely(!pirn_submit_bio(op)))
		return false;
	/* Reads are accounted by submit_bio(). */
	if (write)
		task_io_account_write(len);
	return true;
}

/*
 * An empty write with a flush before it.  When the device has cached pages, or
 * writing them failed since the file was last told so, only the file's own
 * fsync does and says all of it.
 */
static void pirn_issue_flush(struct pirn_op *op)
{
	struct pirn_target *target = op->target;

	if (READ_ONCE(target->mapping->nrpages) ||
	    filemap_check_wb_err(target->mapping,
				 READ_ONCE(target->file->f_wb_err))) {
		pirn_punt(op);
		return;
	}
	bio_init(&op->bio, target->bdev, NULL, 0,
		 REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	op->bio.bi_end_io = pirn_bio_end_io;
	trace_pirn_issue(op, false);
	submit_bio(&op->bio);
}

/*
 * Issues a validated op.  Process context, no locks; may block.  Returns false
 * if the device had no room for it and the op is still the caller's.
 */
bool pirn_block_issue(struct pirn_op *op)
{
	if (likely(pirn_op_moves_data(op)))
		return pirn_issue_data(op);
	if (op->code == PIRN_OP_FSYNC || op->code == PIRN_OP_FDATASYNC)
		pirn_issue_flush(op);
	else
		pirn_file_issue(op);
	return true;
}

/*
 * The second and last attempt of an op whose bio was refused.  Waits for room.
 * The device is looked at again, as it may be long after: but not when the block
 * layer has held us back, which nobody's check survives.  Returns false if pages
 * have come between, and the op is still the caller's.
 */
bool pirn_block_retry(struct pirn_op *op)
{
	int len = pirn_check_data(op);

	if (len <= 0) {
		pirn_refuse(op, len);
		return true;
	}
	op->len = len;
	if (pirn_cached(op)) {
		if (!(op->sqe_flags & PIRN_SQE_ATOMIC))
			return false;
		pirn_refuse(op, -EBUSY);
		return true;
	}
	op->nowait = false;
	pirn_build_data(op, pirn_pool_span(op->slot->pool, op));
	trace_pirn_issue(op, false);
	submit_bio(&op->bio);
	return true;
}
