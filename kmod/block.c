// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 7, and the first half of the way back.  An op becomes a bio on
 * the pool's own pages and goes to the block layer; its bi_end_io comes back
 * from there, mostly in an interrupt, and hands the result to complete.c.
 * Called by submit.c in the submitter; by worker.c for an op that found no room
 * at the first attempt.  What each read goes through is in block.h.
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
#include "block.h"

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
	op->written = false;
	pirn_complete(op, op->len);
}

/* What is no read has ended well: a write, or a flush. */
static noinline void pirn_bio_written(struct pirn_op *op)
{
	if (op->code == PIRN_OP_WRITE && pirn_cached(op)) {
		op->written = true;
		pirn_punt(op);
		return;
	}
	pirn_complete(op, op->len);
}

static noinline void pirn_bio_failed(struct bio *bio)
{
	struct pirn_op *op = container_of(bio, struct pirn_op, bio);
	struct pirn_channel *ch = op->channel;
	int err;

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

void pirn_bio_end_io(struct bio *bio)
{
	struct pirn_op *op = container_of(bio, struct pirn_op, bio);

	if (unlikely(bio->bi_status))
		pirn_bio_failed(bio);
	else if (likely(op->code == PIRN_OP_READ))
		pirn_complete(op, op->len);
	else
		pirn_bio_written(op);
}

/*
 * Whether the block layer will take the op as one request, which it has to split
 * otherwise: of more than a page, or on a device with chunks.
 */
bool pirn_block_fits_limits(const struct pirn_op *op, u32 nr_runs)
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

/* What RWF_ATOMIC asks, too.  The least and most the block layer looks at. */
int pirn_block_check_atomic(const struct pirn_op *op, u64 size)
{
	if (!pirn_can_write_atomic(op->target->bdev))
		return -EOPNOTSUPP;
	if (!is_power_of_2(op->len) || op->offset & (op->len - 1) ||
	    op->len > size - op->offset)
		return -EINVAL;
	return op->len;
}

/* The file's own path knows of cached pages, but of atomic writes from here not. */
void pirn_block_issue_cached(struct pirn_op *op)
{
	if (op->sqe_flags & PIRN_SQE_ATOMIC)
		pirn_refuse(op, -EBUSY);
	else
		pirn_punt_submitted(op);
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
 * Issues a validated op that is no read.  Process context, no locks; may block.
 * Returns false if the device had no room for it and the op is still the caller's.
 */
bool pirn_block_issue(struct pirn_op *op)
{
	if (op->code == PIRN_OP_WRITE)
		return pirn_issue_data(op->channel, op, true);
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
	bool write = op->code == PIRN_OP_WRITE;
	int len = pirn_check_data(op, write);

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
	pirn_build_data(op, write, pirn_pool_span(op->slot->pool, op), 0);
	trace_pirn_issue(op, false);
	submit_bio(&op->bio);
	return true;
}
