// SPDX-License-Identifier: MIT
/*
 * What is durable after a sync, and what is left after a crash.
 *
 * A write that becomes durable takes its sectors from every older write of the
 * same page that is not: such a one cannot come over it later, whatever order a
 * crash makes of the rest.
 */
#include "sim.h"

/* Out of its page's list. */
static void piece_remove(struct sim_record *record, struct sim_piece *piece)
{
	struct sim_slot *slot = sim_slot(record->file, piece->index, true);

	if (piece->newer)
		piece->newer->older = piece->older;
	else
		slot->newest = piece->older;
	if (piece->older)
		piece->older->newer = piece->newer;
	sim_page_put(record->file->node->sim, piece->page);
}

static void record_end(struct sim_record *record)
{
	if (!record->empty)
		record->file->node->unsynced -= record->bytes;
	sim_record_free(record);
}

void sim_record_drop(struct sim_record *record)
{
	for (uint32_t i = 0; i < record->pieces; i++)
		piece_remove(record, &record->piece[i]);
	record_end(record);
}

/* @from NULL: zeros. */
static void copy_sectors(char *to, const struct sim_page *from, uint8_t sectors)
{
	for (uint32_t s = 0; s < SIM_SECTORS; s++) {
		char *at = to + s * SIM_SECTOR;

		if (!(sectors & 1u << s))
			continue;
		if (from)
			memcpy(at, from->data + s * SIM_SECTOR, SIM_SECTOR);
		else
			memset(at, 0, SIM_SECTOR);
	}
}

static void piece_keep(struct sim_record *record, struct sim_piece *piece)
{
	struct sim_slot *slot = sim_slot(record->file, piece->index, true);
	struct pirn_sim *sim = record->file->node->sim;
	struct sim_piece *older;

	if (piece->vague) {
		slot->durable_vague |= piece->sectors;
	} else if (piece->sectors == 0xff) {
		sim_page_put(sim, slot->durable);
		slot->durable = piece->page;
		if (piece->page)
			piece->page->refs++;
	} else if (piece->sectors) {
		copy_sectors(sim_page_own(sim, &slot->durable)->data,
			     piece->page, piece->sectors);
	}
	if (!piece->vague)
		slot->durable_vague &= (uint8_t)~piece->sectors;
	for (older = piece->older; older; older = older->older)
		older->sectors &= (uint8_t)~piece->sectors;
	piece_remove(record, piece);
}

/* The durable length becomes @bytes, and beyond it all is zeros. */
static void durable_cut(struct sim_file *file, uint64_t bytes)
{
	struct pirn_sim *sim = file->node->sim;
	uint64_t end = (file->durable_bytes + PIRN_PAGE - 1) / PIRN_PAGE;

	for (uint64_t i = bytes / PIRN_PAGE; i < end; i++) {
		struct sim_slot *slot = sim_slot(file, i, false);
		uint32_t keep = (uint32_t)(bytes % PIRN_PAGE);

		if (!slot || !slot->durable)
			continue;
		if (i == bytes / PIRN_PAGE && keep) {
			memset(sim_page_own(sim, &slot->durable)->data + keep, 0,
			       PIRN_PAGE - keep);
		} else {
			sim_page_put(sim, slot->durable);
			slot->durable = NULL;
		}
	}
	file->durable_bytes = bytes;
}

void sim_record_keep(struct sim_record *record)
{
	struct sim_file *file = record->file;

	for (uint32_t i = 0; i < record->pieces; i++)
		piece_keep(record, &record->piece[i]);
	if (record->truncate)
		durable_cut(file, record->end);
	else if (record->end > file->durable_bytes)
		file->durable_bytes = record->end;
	record_end(record);
}

void sim_data_sync(struct sim_file *file, uint64_t done, bool partly)
{
	struct pirn_sim *sim = file->node->sim;
	struct sim_record *record, *next;

	for (record = file->first; record; record = next) {
		next = record->file_next;
		if (!record->done || record->done > done)
			continue;
		if (partly && sim_next(&sim->chance[PIRN_SIM_EIO_FSYNC]) & 1)
			sim_record_drop(record);
		else
			sim_record_keep(record);
	}
}

void sim_data_settle(struct sim_node *node)
{
	while (node->unsynced > node->sim->opt.cache_bytes && node->first &&
	       node->first->done)
		sim_record_keep(node->first);
}

/* ------------------------------------------------------------------ crash */

struct crash {
	struct sim_node *node;
	uint64_t count;
	uint64_t kept;			/* of a prefix: the first so many */
	uint64_t rate;			/* of any: how many of a million */
	bool lost;
	bool reordered;
};

/* Any of the blocks of a write, perhaps none. */
static void tear(struct crash *crash, struct sim_record *record)
{
	struct pirn_sim *sim = crash->node->sim;
	uint64_t *chance = &sim->chance[PIRN_SIM_TORN], end = 0;
	bool whole = record->file->block_bytes == PIRN_PAGE;

	for (uint32_t i = 0; i < record->pieces; i++) {
		struct sim_piece *piece = &record->piece[i];
		uint8_t keep = (uint8_t)sim_next(chance);
		uint64_t last;

		if (whole)
			keep = keep & 1 ? 0xff : 0;
		piece->sectors &= keep;
		if (!piece->sectors)
			continue;
		last = 31 - (uint32_t)__builtin_clz(piece->sectors);
		end = piece->index * PIRN_PAGE + (last + 1) * SIM_SECTOR;
	}
	/* What was torn off does not make the file longer. */
	if (end < record->end)
		record->end = end;
	sim_log(sim, crash->node, -1, "torn: file %llu %llu+%llu",
		(unsigned long long)record->file->id,
		(unsigned long long)record->from,
		(unsigned long long)record->bytes);
}

/* One block is written whole or not at all. */
static bool may_tear(const struct crash *crash, const struct sim_record *record,
		     uint64_t index)
{
	uint64_t block = record->file->block_bytes;

	if (block < SIM_SECTOR)
		block = SIM_SECTOR;
	if (!record->pieces || record->from / block ==
				(record->from + record->bytes - 1) / block)
		return false;
	return crash->reordered || !record->done ||
	       (crash->lost && index + 1 == crash->kept);
}

static void choose(struct crash *crash)
{
	struct sim_node *node = crash->node;
	struct pirn_sim *sim = node->sim;

	crash->kept = crash->count;
	if (!crash->count)
		return;
	crash->lost = sim_fault(sim, PIRN_SIM_LOST, node);
	crash->reordered = sim_fault(sim, PIRN_SIM_REORDER, node);
	if (crash->lost)
		crash->kept = sim_below(&sim->chance[PIRN_SIM_LOST],
					crash->count + 1);
	if (crash->reordered)
		crash->rate = sim_below(&sim->chance[PIRN_SIM_REORDER],
					SIM_MILLION + 1);
}

static bool is_kept(struct crash *crash, uint64_t index)
{
	struct pirn_sim *sim = crash->node->sim;

	if (crash->reordered)
		return sim_below(&sim->chance[PIRN_SIM_REORDER],
				 SIM_MILLION) < crash->rate;
	return index < crash->kept;
}

/* What is durable is what is seen. */
static void forget(struct sim_file *file)
{
	struct pirn_sim *sim = file->node->sim;

	for (uint64_t c = 0; c < file->chunks; c++) {
		for (uint32_t i = 0; file->chunk[c] && i < SIM_CHUNK; i++) {
			struct sim_slot *slot = &file->chunk[c][i];

			slot->vague = slot->durable_vague;
			if (slot->seen == slot->durable)
				continue;
			sim_page_put(sim, slot->seen);
			slot->seen = slot->durable;
			if (slot->seen)
				slot->seen->refs++;
		}
	}
	file->bytes = file->durable_bytes;
}

void sim_data_crash(struct sim_node *node)
{
	struct pirn_sim *sim = node->sim;
	struct crash crash = { .node = node };
	struct sim_record *record, *next;
	uint64_t i = 0, kept = 0;

	for (record = node->first; record; record = record->next)
		crash.count++;
	choose(&crash);
	for (record = node->first; record; record = next, i++) {
		next = record->next;
		if (!is_kept(&crash, i)) {
			sim_record_drop(record);
			continue;
		}
		if (may_tear(&crash, record, i) &&
		    sim_fault(sim, PIRN_SIM_TORN, node))
			tear(&crash, record);
		sim_record_keep(record);
		kept++;
	}
	sim_log(sim, node, -1, "disks: of %llu writes not durable %llu are kept",
		(unsigned long long)crash.count, (unsigned long long)kept);
	sim_mix(sim, crash.count);
	sim_mix(sim, kept);
	for (struct sim_file *file = node->files; file; file = file->next)
		forget(file);
}
