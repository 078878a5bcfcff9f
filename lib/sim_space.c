// SPDX-License-Identifier: MIT
/*
 * Ops that move no data, FALLOCATE and DISCARD, from submission to completion: see
 * sim_io.c.  Zeros are a write of them, which a crash may tear; blocks that are
 * only allocated are a length, if that; a discard leaves anything, which each read
 * chooses anew.
 */
#include <linux/falloc.h>

#include "sim.h"

static bool allocates(const struct sim_io *io)
{
	return io->kind == PIRN_IO_FALLOCATE &&
	       !(io->mode & (FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE));
}

/* What the kernel says of it, too. */
static int refused(struct pirn_sim *sim, const struct sim_io *io)
{
	const struct sim_file *file = io->file;
	uint64_t end = io->offset + io->bytes;

	if (file->block) {
		if (allocates(io))
			return -EOPNOTSUPP;
		if (io->offset >= file->bytes)
			return -EINVAL;
		if (end > file->bytes && !(io->mode & FALLOC_FL_KEEP_SIZE))
			return -EINVAL;
		return 0;
	}
	if (end > SIM_MAX_FILE)
		return -EFBIG;
	if (!(io->mode & FALLOC_FL_PUNCH_HOLE) &&
	    sim_fault(sim, PIRN_SIM_ENOSPC, file->node))
		return -ENOSPC;
	return 0;
}

void sim_space_submit(struct pirn_sim *sim, struct sim_io *io)
{
	io->result = refused(sim, io);
	if (io->result || allocates(io))
		return;
	io->fails = sim_fault(sim, PIRN_SIM_EIO_WRITE, io->file->node);
	io->event.kind = SIM_CAPTURE;
}

/* How much of it there is to change: the file may have become shorter. */
static uint64_t within(const struct sim_io *io)
{
	uint64_t bytes = io->file->bytes;

	if (!(io->mode & FALLOC_FL_KEEP_SIZE))
		return io->bytes;
	if (io->offset >= bytes)
		return 0;
	return io->bytes < bytes - io->offset ? io->bytes : bytes - io->offset;
}

void sim_space_capture(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_file *file = io->file;
	uint64_t bytes = within(io);

	if (io->fails) {
		bytes = sim_below(&sim->chance[PIRN_SIM_EIO_WRITE],
				  bytes / file->block_bytes + 1) *
			file->block_bytes;
		io->result = -EIO;
	}
	if (!bytes)
		return;
	if (io->kind == PIRN_IO_DISCARD)
		io->record = sim_data_discard(file, io->offset, bytes);
	else
		io->record = sim_data_write(file, NULL, io->offset, bytes);
}

void sim_space_complete(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_file *file = io->file;
	uint64_t end = io->offset + io->bytes;

	sim->counts.writes++;
	if (io->record)
		io->record->done = ++file->node->done;
	if (!io->result && allocates(io) &&
	    !(io->mode & FALLOC_FL_KEEP_SIZE) && end > file->bytes)
		sim_data_extend(file, end);
}
