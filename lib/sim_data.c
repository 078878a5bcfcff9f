// SPDX-License-Identifier: MIT
/*
 * What files hold: for each page what readers see, what is durable, and a list
 * of the writes between the two.
 *
 * Pages are shared and counted: a write of a whole page makes one, which is then
 * both what is seen and what the write's record keeps; it becomes the durable
 * one by taking a reference.  A page with more than one reference is never
 * written to.
 *
 * No memory for a page ends the process: there is no world to go on with.
 */
#include <stdlib.h>
#include <unistd.h>

#include "sim.h"

#define SLAB_PAGES	256u
#define FEW		2u		/* pieces of a record that is kept for reuse */

struct sim_page_slab {
	struct sim_page_slab *next;
	struct sim_page page[SLAB_PAGES];
};

static void *must(void *memory)
{
	if (!memory)
		pirn_panic("pirn: no memory for the simulator's disks");
	return memory;
}

/* ------------------------------------------------------------------ pages */

static void slab_add(struct pirn_sim *sim)
{
	struct sim_page_slab *slab = must(malloc(sizeof(*slab)));

	slab->next = sim->slabs;
	sim->slabs = slab;
	for (uint32_t i = 0; i < SLAB_PAGES; i++) {
		slab->page[i].next = sim->free_pages;
		sim->free_pages = &slab->page[i];
	}
}

struct sim_page *sim_page_get(struct pirn_sim *sim)
{
	struct sim_page *page;

	if (!sim->free_pages)
		slab_add(sim);
	page = sim->free_pages;
	sim->free_pages = page->next;
	page->refs = 1;
	return page;
}

void sim_page_put(struct pirn_sim *sim, struct sim_page *page)
{
	if (!page || --page->refs)
		return;
	page->next = sim->free_pages;
	sim->free_pages = page;
}

struct sim_page *sim_page_own(struct pirn_sim *sim, struct sim_page **page)
{
	struct sim_page *old = *page;

	if (old && old->refs == 1)
		return old;
	*page = sim_page_get(sim);
	if (old)
		memcpy((*page)->data, old->data, PIRN_PAGE);
	else
		memset((*page)->data, 0, PIRN_PAGE);
	sim_page_put(sim, old);
	return *page;
}

void sim_data_free(struct pirn_sim *sim)
{
	struct sim_page_slab *slab;
	struct sim_record *record;

	while ((slab = sim->slabs)) {
		sim->slabs = slab->next;
		free(slab);
	}
	while ((record = sim->free_records)) {
		sim->free_records = record->next;
		free(record);
	}
}

/* ---------------------------------------------------------------- records */

struct sim_record *sim_record_make(struct sim_file *file, uint32_t pieces)
{
	struct sim_node *node = file->node;
	struct sim_record *record = node->sim->free_records;
	uint32_t room = pieces < FEW ? FEW : pieces;

	if (pieces <= FEW && record)
		node->sim->free_records = record->next;
	else
		record = must(malloc(sizeof(*record) +
				     room * sizeof(record->piece[0])));
	memset(record, 0, sizeof(*record));
	record->pooled = pieces <= FEW;
	record->file = file;
	record->pieces = pieces;

	record->prev = node->last;
	*(node->last ? &node->last->next : &node->first) = record;
	node->last = record;
	record->file_prev = file->last;
	*(file->last ? &file->last->file_next : &file->first) = record;
	file->last = record;
	return record;
}

/* Its pieces have gone. */
void sim_record_free(struct sim_record *record)
{
	struct sim_file *file = record->file;
	struct sim_node *node = file->node;

	*(record->prev ? &record->prev->next : &node->first) = record->next;
	*(record->next ? &record->next->prev : &node->last) = record->prev;
	*(record->file_prev ? &record->file_prev->file_next : &file->first) =
		record->file_next;
	*(record->file_next ? &record->file_next->file_prev : &file->last) =
		record->file_prev;
	if (!record->pooled) {
		free(record);
		return;
	}
	record->next = node->sim->free_records;
	node->sim->free_records = record;
}

/* ------------------------------------------------------------------ files */

struct sim_file *sim_file_make(struct sim_node *node)
{
	struct sim_file *file = must(calloc(1, sizeof(*file)));

	file->node = node;
	file->id = ++node->file_ids;
	file->refs = 1;
	file->host_fd = -1;
	file->next = node->files;
	if (file->next)
		file->next->prev = file;
	node->files = file;
	return file;
}

static void chunk_free(struct pirn_sim *sim, struct sim_slot *chunk)
{
	for (uint32_t i = 0; chunk && i < SIM_CHUNK; i++) {
		sim_page_put(sim, chunk[i].seen);
		sim_page_put(sim, chunk[i].durable);
	}
	free(chunk);
}

void sim_file_put(struct sim_file *file)
{
	struct pirn_sim *sim = file->node->sim;

	if (--file->refs)
		return;
	while (file->first)
		sim_record_drop(file->first);
	for (uint64_t i = 0; i < file->chunks; i++)
		chunk_free(sim, file->chunk[i]);
	free(file->chunk);
	if (file->host_fd >= 0)
		close(file->host_fd);
	*(file->prev ? &file->prev->next : &file->node->files) = file->next;
	if (file->next)
		file->next->prev = file->prev;
	free(file);
}

/* The page as the host has it; a hole is NULL. */
static void import(struct sim_file *file, struct sim_slot *slot, uint64_t index)
{
	struct pirn_sim *sim = file->node->sim;
	uint64_t offset = index * PIRN_PAGE, n = 0;
	struct sim_page *page;

	slot->imported = true;
	if (offset >= file->host_bytes)
		return;
	page = sim_page_get(sim);
	memset(page->data, 0, PIRN_PAGE);
	while (n < PIRN_PAGE) {
		ssize_t got = pread(file->host_fd, page->data + n, PIRN_PAGE - n,
				    (off_t)(offset + n));

		if (got <= 0)
			break;
		n += (uint64_t)got;
	}
	if (n > file->host_bytes - offset)
		memset(page->data + (file->host_bytes - offset), 0,
		       PIRN_PAGE - (file->host_bytes - offset));
	sim_mix_bytes(sim, page->data, PIRN_PAGE);
	page->refs++;
	slot->seen = page;
	slot->durable = page;
}

/* Twice as many as now, or as many as the page needs. */
static void chunks_add(struct sim_file *file, uint64_t need)
{
	uint64_t chunks = file->chunks * 2 < need ? need : file->chunks * 2;

	file->chunk = must(realloc(file->chunk,
				   chunks * sizeof(file->chunk[0])));
	memset(file->chunk + file->chunks, 0,
	       (chunks - file->chunks) * sizeof(file->chunk[0]));
	file->chunks = chunks;
}

struct sim_slot *sim_slot(struct sim_file *file, uint64_t index, bool make)
{
	uint64_t c = index / SIM_CHUNK;
	struct sim_slot *slot;

	make |= file->host_fd >= 0;
	if (unlikely(c >= file->chunks)) {
		if (!make)
			return NULL;
		chunks_add(file, c + 1);
	}
	if (unlikely(!file->chunk[c])) {
		if (!make)
			return NULL;
		file->chunk[c] = must(calloc(SIM_CHUNK,
					     sizeof(struct sim_slot)));
	}
	slot = &file->chunk[c][index % SIM_CHUNK];
	if (unlikely(file->host_fd >= 0) && !slot->imported)
		import(file, slot, index);
	return slot;
}

/* --------------------------------------------------------- read and write */

/* The bytes of [offset, offset + left) that lie in its first page. */
static inline uint32_t in_page(uint64_t offset, uint64_t left)
{
	uint32_t room = PIRN_PAGE - (uint32_t)(offset % PIRN_PAGE);

	return left < room ? (uint32_t)left : room;
}

/* A bit for each sector that [from, from + bytes) of a page touches. */
static inline uint8_t sectors_of(uint32_t from, uint32_t bytes)
{
	uint32_t first = from / SIM_SECTOR;
	uint32_t last = (from + bytes - 1) / SIM_SECTOR;

	return (uint8_t)((2u << last) - (1u << first));
}

/* What was discarded is what it was, zeros or rubbish, a sector at a time. */
static void read_vague(struct pirn_sim *sim, char *to, uint32_t at, uint32_t n,
		       uint8_t vague)
{
	while (n) {
		uint32_t room = SIM_SECTOR - at % SIM_SECTOR;
		uint32_t part = n < room ? n : room;
		uint64_t r = sim_next(&sim->disk);

		if (vague & 1u << at / SIM_SECTOR && r % 3)
			memset(to, r % 3 == 1 ? 0 : (int)(r >> 32 & 0xff), part);
		to += part;
		at += part;
		n -= part;
	}
}

void sim_data_read(struct sim_file *file, void *buf, uint64_t offset,
		   uint64_t bytes)
{
	char *to = buf;

	while (bytes) {
		struct sim_slot *slot = sim_slot(file, offset / PIRN_PAGE, false);
		uint32_t at = (uint32_t)(offset % PIRN_PAGE);
		uint32_t n = in_page(offset, bytes);

		if (slot && slot->seen)
			memcpy(to, slot->seen->data + at, n);
		else
			memset(to, 0, n);
		if (unlikely(slot && slot->vague))
			read_vague(file->node->sim, to, at, n, slot->vague);
		to += n;
		offset += n;
		bytes -= n;
	}
}

bool sim_data_bad(struct sim_file *file, uint64_t offset, uint64_t bytes)
{
	while (bytes) {
		struct sim_slot *slot = sim_slot(file, offset / PIRN_PAGE, false);
		uint32_t n = in_page(offset, bytes);

		if (slot && slot->bad &
		    sectors_of((uint32_t)(offset % PIRN_PAGE), n))
			return true;
		offset += n;
		bytes -= n;
	}
	return false;
}

/* The newest of its page. */
static void piece_add(struct sim_slot *slot, struct sim_piece *piece)
{
	piece->newer = NULL;
	piece->older = slot->newest;
	if (slot->newest)
		slot->newest->newer = piece;
	slot->newest = piece;
}

/* [at, at + n) of a page becomes what is at @from; NULL: zeros. */
static void write_page(struct sim_file *file, struct sim_slot *slot,
		       struct sim_piece *piece, const char *from, uint32_t at,
		       uint32_t n)
{
	struct pirn_sim *sim = file->node->sim;

	if (n < PIRN_PAGE) {
		sim_page_own(sim, &slot->seen);
	} else {
		sim_page_put(sim, slot->seen);
		slot->seen = from ? sim_page_get(sim) : NULL;
	}
	if (from)
		memcpy(slot->seen->data + at, from, n);
	else if (slot->seen)
		memset(slot->seen->data + at, 0, n);
	piece->page = slot->seen;
	if (piece->page)
		piece->page->refs++;
	piece->vague = false;
	slot->bad &= (uint8_t)~piece->sectors;
	slot->vague &= (uint8_t)~piece->sectors;
}

/* The record of a change, its pieces without what they hold. */
static struct sim_record *record_of(struct sim_file *file, uint64_t offset,
				    uint64_t bytes)
{
	uint64_t first = offset / PIRN_PAGE;
	uint64_t last = (offset + bytes - 1) / PIRN_PAGE;
	struct sim_record *record;

	record = sim_record_make(file, (uint32_t)(last - first) + 1);
	record->from = offset;
	record->bytes = bytes;
	record->end = offset + bytes;
	for (uint32_t i = 0; i < record->pieces; i++) {
		uint32_t n = in_page(offset, bytes);

		record->piece[i].record = record;
		record->piece[i].index = first + i;
		record->piece[i].sectors =
			sectors_of((uint32_t)(offset % PIRN_PAGE), n);
		offset += n;
		bytes -= n;
	}
	return record;
}

struct sim_record *sim_data_write(struct sim_file *file, const void *buf,
				  uint64_t offset, uint64_t bytes)
{
	struct sim_record *record = record_of(file, offset, bytes);
	const char *from = buf;

	record->empty = !buf;
	if (buf)
		file->node->unsynced += bytes;
	for (uint32_t i = 0; i < record->pieces; i++) {
		struct sim_piece *piece = &record->piece[i];
		struct sim_slot *slot = sim_slot(file, piece->index, true);
		uint32_t n = in_page(offset, bytes);

		write_page(file, slot, piece, from,
			   (uint32_t)(offset % PIRN_PAGE), n);
		piece_add(slot, piece);
		if (from)
			from += n;
		offset += n;
		bytes -= n;
	}
	if (record->end > file->bytes)
		file->bytes = record->end;
	return record;
}

struct sim_record *sim_data_discard(struct sim_file *file, uint64_t offset,
				    uint64_t bytes)
{
	struct sim_record *record = record_of(file, offset, bytes);

	record->empty = true;
	for (uint32_t i = 0; i < record->pieces; i++) {
		struct sim_piece *piece = &record->piece[i];
		struct sim_slot *slot = sim_slot(file, piece->index, true);

		piece->page = NULL;
		piece->vague = true;
		slot->vague |= piece->sectors;
		piece_add(slot, piece);
	}
	return record;
}

void sim_data_extend(struct sim_file *file, uint64_t bytes)
{
	struct sim_record *record = sim_record_make(file, 0);

	record->end = bytes;
	record->done = ++file->node->done;
	file->bytes = bytes;
}

/* What is seen beyond a new, lesser length is zeros. */
static void cut(struct sim_file *file, uint64_t bytes)
{
	struct pirn_sim *sim = file->node->sim;
	uint64_t end = (file->bytes + PIRN_PAGE - 1) / PIRN_PAGE;

	for (uint64_t i = bytes / PIRN_PAGE; i < end; i++) {
		struct sim_slot *slot = sim_slot(file, i, false);
		uint32_t keep = (uint32_t)(bytes % PIRN_PAGE);

		if (!slot || !slot->seen)
			continue;
		if (i == bytes / PIRN_PAGE && keep) {
			memset(sim_page_own(sim, &slot->seen)->data + keep, 0,
			       PIRN_PAGE - keep);
		} else {
			sim_page_put(sim, slot->seen);
			slot->seen = NULL;
			slot->bad = 0;
		}
	}
}

void sim_data_truncate(struct sim_file *file, uint64_t bytes)
{
	struct sim_record *record;

	if (bytes == file->bytes)
		return;
	record = sim_record_make(file, 0);
	record->truncate = true;
	record->end = bytes;
	record->done = ++file->node->done;
	if (bytes < file->bytes)
		cut(file, bytes);
	file->bytes = bytes;
}
