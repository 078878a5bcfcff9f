// SPDX-License-Identifier: MIT
/*
 * The page cache.
 *
 * Pages in it hold only what the log already holds durably (log.c applies a
 * group after it is flushed), so any of them may be written to its place at any
 * time.  A crash may tear or lose such a write: the log has an image of every
 * page changed since the last checkpoint, and wal_checkpoint() lets go of no log
 * before wal_pages_flush() and a flush of the device.
 *
 * A page's own checksum finds a torn page and one of another place.  It cannot
 * find that a write never came, because what lies there instead was right once:
 * so the checksum of every page is also kept apart from it, in the map.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define WRITERS 8	/* pages under way at a time in wal_pages_flush() */

int wal_pages_start(struct wal_shard *s)
{
	s->where = calloc(s->super.pages, sizeof(*s->where));
	s->map = calloc(1, wal_map_bytes(&s->super));
	s->frame = calloc(s->frames, sizeof(*s->frame));
	if (!s->where || !s->map || !s->frame)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->frames; i++) {
		s->frame[i].page = pirn_buf_alloc(WAL_BLOCK);
		if (!s->frame[i].page)
			return -ENOMEM;
	}
	return 0;
}

void wal_pages_stop(struct wal_shard *s)
{
	for (uint32_t i = 0; s->frame && i < s->frames; i++)
		pirn_buf_free(s->frame[i].page);
}

static struct wal_frame *frame_of(struct wal_shard *s, uint32_t number)
{
	return s->where[number] ? &s->frame[s->where[number] - 1] : NULL;
}

/* What was last written for this page, not only a page that is whole. */
static bool intact(const struct wal_shard *s, const struct wal_page *page,
		   uint32_t number)
{
	uint32_t crc = wal_crc_of(page, sizeof(*page));

	return page->crc == (crc ? crc : 1) && page->crc == s->map[number] &&
	       page->number == number && page->salt == s->salt;
}

/* Fills a frame that is loading. */
static int load(struct wal_shard *s, struct wal_frame *f)
{
	int err;

	if (!s->map[f->number]) {
		memset(f->page, 0, WAL_BLOCK);
		return 0;
	}
	s->stats.page_reads++;
	err = wal_read(s, f->page, WAL_BLOCK, wal_page_offset(s, f->number));
	if (!err && intact(s, f->page, f->number))
		return 0;
	/* Whatever lies there, the log may know what should. */
	return wal_log_repair(s, f);
}

static void stamp(const struct wal_shard *s, struct wal_frame *f)
{
	f->page->salt = s->salt;
	f->page->number = f->number;
	f->page->crc = wal_crc_of(f->page, sizeof(*f->page));
	if (!f->page->crc)
		f->page->crc = 1;	/* 0 is the map's word for never written */
}

static int write_back(struct wal_shard *s, struct wal_frame *f)
{
	struct wal_page *page = f->page;
	int err;

	f->state = WAL_WRITING;
	f->dirty = false;
	stamp(s, f);
	err = wal_write(s, page, WAL_BLOCK, wal_page_offset(s, f->number));
	if (err) {
		f->dirty = true;
		wal_fail(s, err, "page %u cannot be written", f->number);
	} else {
		s->map[f->number] = page->crc;
		s->stats.page_writes++;
	}
	f->state = WAL_READY;
	wal_wake(s);
	return err;
}

/*
 * A page that was put together again from the log.  Anything but what was last
 * written there would be wrong data.
 */
int wal_page_mend(struct wal_shard *s, struct wal_frame *f)
{
	ssize_t n;

	stamp(s, f);
	if (f->page->crc != s->map[f->number])
		return -EBADMSG;
	if (s->error)
		return 0;	/* good to read; nothing is written any more */
	n = pirn_pwrite(s->file, f->page, WAL_BLOCK,
			wal_page_offset(s, f->number), PIRN_DSYNC);
	if (n < 0)
		wal_fail(s, (int)n, "page %u cannot be written", f->number);
	s->stats.repairs++;
	f->dirty = n < 0;
	return 0;
}

static bool evictable(const struct wal_frame *f)
{
	return !f->pins && (f->state == WAL_READY || f->state == WAL_EMPTY);
}

/*
 * Finds a frame for a page by the clock: one that was used since the hand last
 * came by is passed over once.  *frame is NULL when it parked, and somebody else
 * may have brought the page meanwhile.
 */
static int claim(struct wal_shard *s, uint32_t number, struct wal_frame **frame)
{
	uint32_t passed = 0;	/* frames since this fiber last parked */
	bool stuck = false;	/* a dirty one that cannot be written any more */
	struct wal_frame *f;
	int err;

	*frame = NULL;
	while (passed++ < 2 * s->frames) {
		f = &s->frame[s->hand];
		s->hand = (s->hand + 1) % s->frames;
		if (!evictable(f))
			continue;
		if (f->recent) {
			f->recent = false;
			continue;
		}
		if (f->dirty && s->error) {
			stuck = true;
			continue;
		}
		if (f->dirty) {
			err = write_back(s, f);
			if (err)
				return err;
			if (s->where[number])
				return 0;
			passed = 0;
			if (!evictable(f) || f->dirty)
				continue;
		}
		if (f->state == WAL_READY)
			s->where[f->number] = 0;
		f->number = number;
		f->state = WAL_LOADING;
		s->where[number] = (uint32_t)(f - s->frame) + 1;
		*frame = f;
		return 0;
	}
	if (stuck)
		return s->error;
	wal_wait(s);
	return 0;
}

int wal_page_get(struct wal_shard *s, uint32_t number, bool replaced,
		 struct wal_frame **frame)
{
	struct wal_frame *f;
	int err;

	for (;;) {
		f = frame_of(s, number);
		if (f && f->state != WAL_LOADING)
			break;
		if (f) {
			wal_wait(s);
			continue;
		}
		err = claim(s, number, &f);
		if (err)
			return err;
		if (!f)
			continue;
		f->dirty = false;
		err = replaced ? 0 : load(s, f);
		f->state = err ? WAL_EMPTY : WAL_READY;
		f->logged = err || replaced ? 0 : f->page->lsn;
		if (err) {
			/* What it holds is nothing, and is never to be written. */
			f->dirty = false;
			s->where[number] = 0;
		}
		wal_wake(s);
		if (err)
			return err;
		break;
	}
	f->pins++;
	f->recent = true;
	*frame = f;
	return 0;
}

void wal_page_put(struct wal_shard *s, struct wal_frame *f)
{
	if (!--f->pins)
		wal_wake(s);
}

bool wal_page_settle(struct wal_shard *s, struct wal_frame *f)
{
	bool parked = false;

	while (f->state == WAL_WRITING || f->state == WAL_LOADING) {
		wal_wait(s);
		parked = true;
	}
	return parked;
}

/* ---------------------------------------------------------------- flushing */

struct flush {
	struct wal_shard *s;
	uint64_t before;
	uint32_t next;		/* frame that no writer has looked at */
	unsigned int writers;
	int error;
};

static int flush_some(void *arg)
{
	struct flush *flush = arg;
	struct wal_shard *s = flush->s;
	struct wal_frame *f;
	int err;

	while (!flush->error && flush->next < s->frames) {
		f = &s->frame[flush->next++];
		/* One being evicted has to arrive, too, before the device's flush. */
		wal_page_settle(s, f);
		if (f->state != WAL_READY || !f->dirty ||
		    f->page->lsn >= flush->before)
			continue;
		err = write_back(s, f);
		if (err)
			flush->error = err;
	}
	flush->writers--;
	wal_wake(s);
	return 0;
}

/*
 * Writes every dirty page whose last change is older than @before.  A page that
 * has changed since needs no writing: the log from there on has it whole.
 */
int wal_pages_flush(struct wal_shard *s, uint64_t before)
{
	struct flush flush = { .s = s, .before = before };

	/* Fewer writers than wanted only take longer, and this fiber is one. */
	for (flush.writers = 1; flush.writers < WRITERS; flush.writers++)
		if (pirn_spawn(NULL, flush_some, &flush))
			break;
	flush_some(&flush);
	while (flush.writers)
		wal_wait(s);
	return flush.error;
}
