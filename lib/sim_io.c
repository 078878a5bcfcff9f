// SPDX-License-Identifier: MIT
/*
 * An op from submission to completion.
 *
 *   submit     the buffer of a read is poisoned; the time of the end is chosen
 *   capture    a write's buffer is read, at any instant of its time under way;
 *              from then on readers see it
 *   complete   the buffer of a read is filled; a sync, or a DSYNC write, makes
 *              durable; the core is told
 */
#include "sim.h"

#define POISON	0xa5

/*
 * Exponentially distributed with @mean, by integers: the C library's logarithm
 * is not the same everywhere.  -log2(u) of a random u is the number of leading
 * zeros plus, between two powers of two, about the rest of a straight line.
 */
static uint64_t exponential(uint64_t *state, uint64_t mean)
{
	uint64_t u = sim_next(state) | 1;
	uint32_t zeros = (uint32_t)__builtin_clzll(u);
	uint64_t rest = ~(u << zeros << 1) >> 48;	/* of 2^16 */
	uint64_t log2 = ((uint64_t)zeros << 16) + rest;

	/* ln 2 is 45426 / 2^16 */
	return (uint64_t)(((unsigned __int128)mean * log2 * 45426) >> 32);
}

static uint64_t duration(struct sim_node *node)
{
	struct pirn_sim *sim = node->sim;
	uint64_t ns = sim->opt.io_min_ns +
		      exponential(&sim->disk, sim->opt.io_mean_ns);

	if (sim_fault(sim, PIRN_SIM_SLOW, node))
		ns += sim_below(&sim->chance[PIRN_SIM_SLOW],
				sim->opt.slow_ns) + 1;
	if (sim_fault(sim, PIRN_SIM_HANG, node) &&
	    node->hung_until < sim->now + sim->opt.hang_ns)
		node->hung_until = sim->now + sim->opt.hang_ns;
	return ns;
}

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[PIRN_IO_READ] = "read", [PIRN_IO_WRITE] = "write",
		[PIRN_IO_FSYNC] = "sync", [PIRN_IO_FDATASYNC] = "datasync",
		[PIRN_IO_FALLOCATE] = "fallocate",
		[PIRN_IO_DISCARD] = "discard", [SIM_IO_NAME] = "names",
	};

	return names[kind];
}

static void say(const struct sim_io *io, const char *stage)
{
	struct sim_node *node = sim_node_of(io->core);

	sim_log(node->sim, node, (int)io->core->index,
		"%s %s%s: file %llu %llu+%llu", stage, kind_name(io->kind),
		io->dsync ? " dsync" : "",
		io->file ? (unsigned long long)io->file->id : 0ull,
		(unsigned long long)io->offset, (unsigned long long)io->bytes);
}

static bool is_sync(const struct sim_io *io)
{
	return io->kind == PIRN_IO_FSYNC || io->kind == PIRN_IO_FDATASYNC;
}

static bool is_space(const struct sim_io *io)
{
	return io->kind == PIRN_IO_FALLOCATE || io->kind == PIRN_IO_DISCARD;
}

/* ----------------------------------------------------------------- submit */

static void submit_read(struct pirn_sim *sim, struct sim_io *io)
{
	uint64_t bytes = io->file->bytes;

	io->fails = sim_fault(sim, PIRN_SIM_EIO_READ, io->file->node);
	/* As far as there is something to read. */
	bytes = io->offset < bytes ? bytes - io->offset : 0;
	memset(io->op->buf, POISON, bytes < io->bytes ? bytes : io->bytes);
}

/* What is wrong with a write from the start. */
static int write_refused(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_file *file = io->file;
	uint64_t end = io->offset + io->bytes;

	if (file->block) {
		if (io->offset >= file->bytes)
			return -ENOSPC;
		if (end > file->bytes)
			io->bytes = file->bytes - io->offset;
		return 0;
	}
	if (end > SIM_MAX_FILE)
		return -EFBIG;
	if (end > file->bytes && sim_fault(sim, PIRN_SIM_ENOSPC, file->node))
		return -ENOSPC;
	return 0;
}

static void submit_write(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_node *node = io->file->node;

	io->result = write_refused(sim, io);
	if (io->result)
		return;
	io->fails = sim_fault(sim, PIRN_SIM_EIO_WRITE, node);
	io->event.kind = SIM_CAPTURE;
}

static void submit_sync(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_node *node = io->file->node;

	io->done = node->done;
	io->fails = sim_fault(sim, PIRN_SIM_EIO_FSYNC, node);
	io->lies = !io->fails && sim_fault(sim, PIRN_SIM_LYING_FLUSH, node);
}

void sim_io_submit(struct sim_io *io)
{
	struct sim_node *node = sim_node_of(io->core);
	struct pirn_sim *sim = node->sim;
	uint64_t at;

	io->event.kind = SIM_COMPLETE;
	io->result = 0;
	io->record = NULL;
	io->fails = false;
	io->lies = false;
	if (io->kind == PIRN_IO_READ)
		submit_read(sim, io);
	else if (io->kind == PIRN_IO_WRITE)
		submit_write(sim, io);
	else if (is_sync(io))
		submit_sync(sim, io);
	else if (is_space(io))
		sim_space_submit(sim, io);
	io->ends = sim->now + duration(node);
	at = io->ends;
	if (io->event.kind == SIM_CAPTURE)
		at = sim_between(&sim->disk, sim->now, io->ends);
	node->in_flight++;
	sim_event_add(sim, &io->event, at);
	sim_mix(sim, (uint64_t)node->number << 48 |
		     (uint64_t)io->core->index << 16 | (uint64_t)io->kind << 1 |
		     io->dsync);
	sim_mix(sim, io->offset);
	sim_mix(sim, (io->file ? io->file->id << 32 : 0) ^ io->bytes);
	if (is_space(io))
		sim_mix(sim, io->mode);
	say(io, "submit");
}

/* ---------------------------------------------------------------- capture */

/* Elsewhere in the same file, and not longer. */
static uint64_t misdirect(struct pirn_sim *sim, const struct sim_io *io)
{
	const struct sim_file *file = io->file;
	uint64_t places;

	if (file->bytes < io->bytes)
		return io->offset;
	places = (file->bytes - io->bytes) / file->block_bytes + 1;
	return sim_below(&sim->chance[PIRN_SIM_MISDIRECTED], places) *
	       file->block_bytes;
}

static void capture_write(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_file *file = io->file;
	uint64_t offset = io->offset, bytes = io->bytes;

	if (io->fails) {
		bytes = sim_below(&sim->chance[PIRN_SIM_EIO_WRITE],
				  bytes / file->block_bytes + 1) *
			file->block_bytes;
		io->result = -EIO;
	}
	if (sim_fault(sim, PIRN_SIM_MISDIRECTED, file->node))
		offset = misdirect(sim, io);
	sim_mix_bytes(sim, io->op->buf, bytes);
	if (bytes)
		io->record = sim_data_write(file, io->op->buf, offset, bytes);
}

void sim_io_capture(struct sim_io *io)
{
	struct pirn_sim *sim = io->file->node->sim;

	if (is_space(io))
		sim_space_capture(sim, io);
	else
		capture_write(sim, io);
	say(io, "capture");
	io->event.kind = SIM_COMPLETE;
	sim_event_add(sim, &io->event, io->ends);
}

/* --------------------------------------------------------------- complete */

static void complete_read(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_file *file = io->file;
	uint64_t bytes = io->bytes;

	if (io->offset >= file->bytes)
		bytes = 0;
	else if (bytes > file->bytes - io->offset)
		bytes = file->bytes - io->offset;
	sim->counts.reads++;
	if (io->fails || sim_data_bad(file, io->offset, bytes)) {
		io->result = -EIO;
		return;
	}
	sim_data_read(file, io->op->buf, io->offset, bytes);
	io->result = (int32_t)bytes;
}

static void spoil(struct pirn_sim *sim, const struct sim_io *io)
{
	uint64_t sector = io->offset / SIM_SECTOR +
		sim_below(&sim->chance[PIRN_SIM_LATENT],
			  (io->bytes + SIM_SECTOR - 1) / SIM_SECTOR);
	struct sim_slot *slot = sim_slot(io->file, sector / SIM_SECTORS, true);

	slot->bad |= (uint8_t)(1u << sector % SIM_SECTORS);
}

static void complete_write(struct pirn_sim *sim, struct sim_io *io)
{
	struct sim_node *node = io->file->node;

	sim->counts.writes++;
	if (io->record)
		io->record->done = ++node->done;
	if (io->result)
		return;
	io->result = (int32_t)io->bytes;
	if (io->dsync)
		sim_record_keep(io->record);
	if (sim_fault(sim, PIRN_SIM_LATENT, node))
		spoil(sim, io);
	sim_data_settle(node);
}

static void complete_sync(struct pirn_sim *sim, struct sim_io *io)
{
	sim->counts.syncs++;
	if (io->fails)
		io->result = -EIO;
	if (!io->lies)
		sim_data_sync(io->file, io->done, io->fails);
}

void sim_io_complete(struct sim_io *io)
{
	struct sim_node *node = sim_node_of(io->core);
	struct pirn_sim *sim = node->sim;
	struct sim_core *sc = io->core->backend;

	if (unlikely(sim->now < node->hung_until)) {
		io->ends = node->hung_until +
			   exponential(&sim->disk, sim->opt.io_mean_ns);
		sim_event_add(sim, &io->event, io->ends);
		return;
	}
	if (io->kind == PIRN_IO_READ)
		complete_read(sim, io);
	else if (io->kind == PIRN_IO_WRITE)
		complete_write(sim, io);
	else if (is_sync(io))
		complete_sync(sim, io);
	else if (is_space(io))
		sim_space_complete(sim, io);
	node->in_flight--;
	sim_mix(sim, sim->now);
	sim_mix(sim, (uint64_t)io->core->index << 32 | (uint32_t)io->result);
	say(io, io->result < 0 ? "error" : "complete");

	io->next = NULL;
	*(sc->completed ? &sc->completed_last->next : &sc->completed) = io;
	sc->completed_last = io;
	sim_core_wake(sc, sim->now + sim->opt.turn_min_ns);
}
