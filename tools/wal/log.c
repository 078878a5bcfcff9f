// SPDX-License-Identifier: MIT
/*
 * The log: how a commit becomes durable, and how it is found again.
 *
 * Group commit.  A fiber that commits puts itself into the queue.  When no group
 * is on its way it leads: takes all that wait, up to group_bytes, makes one
 * record of each, writes them with one write, applies them to the pages, and only
 * then lets their fibers go.  Those that come meanwhile make the next group:
 * nobody waits for company, and the slower the disk the larger the groups.
 *
 * The write is durable by PIRN_DSYNC, not by pirn_fsync() after it.  On a device
 * that is one command (a write with FUA) instead of two, and it waits for these
 * blocks only, not for all the pages that the device has still in its cache.
 *
 * A group begins at a block and no block is written twice before the ring comes
 * round: rewriting a half full block would put acknowledged records at risk, for
 * it may be torn.
 *
 * What a crash leaves of a group is any of its sectors.  Recovery goes from
 * record to record and stops at the first that is not right.  Behind that place
 * may lie good records of the same group, which nobody was told of.  They must
 * stay dead, also when the next run happens to write a record that ends exactly
 * where one of them begins: so each opening of the store begins a new epoch, and
 * a record of another epoch than its superblock's is not right.
 *
 * When a later group follows behind that place, it is no crash's doing: a group
 * is written only after the one before it was durable.  To cut the log there
 * would throw away acknowledged commits without a word, so that is an error.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

/* ----------------------------------------------------------------- writing */

static void *add_item(char **at, uint32_t kind, uint32_t bytes, uint64_t number)
{
	struct wal_item *item = (struct wal_item *)*at;
	uint32_t padded = (uint32_t)wal_round(bytes, 8);

	*item = (struct wal_item){ kind, bytes, number };
	memset((char *)(item + 1) + bytes, 0, padded - bytes);
	*at += sizeof(*item) + padded;
	return item + 1;
}

static void put_frames(struct wal_shard *s, struct wal_commit *c, unsigned int n)
{
	while (n)
		wal_page_put(s, c->frame[--n]);
}

/*
 * Makes the record of a commit at s->group + used.  A page that was not logged
 * since the last checkpoint goes before its change, whole: whatever a crash makes
 * of the page itself, redo begins with this image and never reads the page.
 */
static int make_record(struct wal_shard *s, struct wal_commit *c, uint32_t used)
{
	struct wal_record *r = (struct wal_record *)(s->group + used);
	char *at = (char *)(r + 1);
	int err;

	/* Nothing is written before all its pages are there: this parks. */
	for (unsigned int i = 0; i < c->n; i++) {
		err = wal_page_get(s, (uint32_t)(c->writes[i].key / WAL_SLOTS),
				   false, &c->frame[i]);
		if (err) {
			put_frames(s, c, i);
			return err;
		}
	}
	c->lsn = s->head + used;
	for (unsigned int i = 0; i < c->n; i++) {
		const struct wal_write *w = &c->writes[i];
		struct wal_frame *f = c->frame[i];

		if (f->logged < s->image_from)
			memcpy(add_item(&at, WAL_IMAGE, WAL_BLOCK, f->number),
			       f->page, WAL_BLOCK);
		f->logged = c->lsn;
		memcpy(add_item(&at, WAL_VALUE, w->bytes, w->key), w->value,
		       w->bytes);
	}
	*r = (struct wal_record){
		.bytes = (uint32_t)(at - (char *)r),
		.lsn = c->lsn,
		.group = s->head,
		.salt = s->salt,
		.epoch = s->super.epoch,
	};
	return 0;
}

/* The last record says so, which is known only now: then come the checksums. */
static void seal(struct wal_shard *s, uint32_t used)
{
	struct wal_record *r;

	for (uint32_t at = 0; at < used; at += r->bytes) {
		r = (struct wal_record *)(s->group + at);
		r->last = at + r->bytes == used;
		r->crc = wal_crc_of(r, r->bytes);
	}
	memset(s->group + used, 0, wal_round(used, WAL_BLOCK) - used);
}

/* A group that reaches the end of the ring goes on at its beginning. */
static int write_group(struct wal_shard *s, uint32_t bytes)
{
	uint64_t place = s->head % s->super.log_bytes;
	uint64_t first = s->super.log_bytes - place;
	unsigned int flags = s->no_flush ? 0 : PIRN_DSYNC;
	ssize_t n;

	if (first > bytes)
		first = bytes;
	n = pirn_pwrite(s->file, s->group, first, wal_log_offset(s) + place,
			flags);
	if (n >= 0 && first < bytes)
		n = pirn_pwrite(s->file, s->group + first, bytes - first,
				wal_log_offset(s), flags);
	return n < 0 ? (int)n : 0;
}

static void change(struct wal_page *page, uint64_t key, const void *value,
		   uint32_t bytes, uint64_t lsn)
{
	struct wal_slot *slot = &page->slot[key % WAL_SLOTS];

	slot->bytes = bytes;
	memcpy(slot->value, value, bytes);
	page->lsn = lsn;
}

static void apply(struct wal_shard *s, struct wal_commit *c)
{
	/* Nobody sees half of it: from here to the end nothing parks. */
	for (unsigned int i = 0; i < c->n;)
		i = wal_page_settle(s, c->frame[i]) ? 0 : i + 1;
	for (unsigned int i = 0; i < c->n; i++) {
		change(c->frame[i]->page, c->writes[i].key, c->writes[i].value,
		       c->writes[i].bytes, c->lsn);
		c->frame[i]->dirty = true;
	}
	put_frames(s, c, c->n);
}

static void answer(struct wal_commit *c, int result)
{
	c->result = result;
	c->done = true;
	pirn_unpark(c->fiber);
}

/* Room for a group: what recovery would still need stays. */
static bool has_room(const struct wal_shard *s)
{
	return s->head + s->group_bytes <= s->super.redo + s->super.log_bytes;
}

static void lead(struct wal_shard *s)
{
	struct wal_commit *taken = NULL, **end = &taken, *c;
	uint32_t used = 0, pins = 0, bytes;
	int err;

	while (!has_room(s) && !s->error)
		wal_wait(s);
	/*
	 * Pages stay pinned until they are changed: half of the cache at most, so
	 * that there is always one to be had.
	 */
	while ((c = s->queue) && pins + c->n <= s->frames / 2 &&
	       used + WAL_RECORD_BYTES <= s->group_bytes) {
		s->queue = c->next;
		if (!s->queue)
			s->queue_end = &s->queue;
		err = s->error ? -EROFS : make_record(s, c, used);
		if (err) {
			answer(c, err);
			continue;
		}
		used += ((struct wal_record *)(s->group + used))->bytes;
		pins += c->n;
		c->next = NULL;
		*end = c;
		end = &c->next;
	}
	if (!used)
		return;
	seal(s, used);
	bytes = (uint32_t)wal_round(used, WAL_BLOCK);
	err = write_group(s, bytes);
	/*
	 * What a failed durable write left behind nobody knows, and a second try
	 * that succeeds would not tell either: the kernel and the disk may have
	 * dropped the first.  So nothing is ever written to this log again.
	 */
	if (err)
		wal_fail(s, err, "the log cannot be written");
	for (c = taken; c; c = c->next) {
		if (err)
			put_frames(s, c, c->n);
		else
			apply(s, c);
	}
	if (!err) {
		s->head += bytes;
		s->stats.groups++;
		s->stats.log_bytes += bytes;
	}
	while ((c = taken)) {
		taken = c->next;	/* once answered, it is not ours */
		s->stats.commits += !err;
		answer(c, err ? -EIO : 0);
	}
	if (!err && s->head - s->super.redo > s->super.log_bytes / 2)
		wal_checkpoint_start(s);
}

int wal_log_commit(struct wal_shard *s, struct wal_commit *c)
{
	if (s->error)
		return -EROFS;
	c->fiber = pirn_self();
	*s->queue_end = c;
	s->queue_end = &c->next;
	while (!c->done) {
		if (s->leading) {
			pirn_park();
			continue;
		}
		s->leading = true;
		lead(s);
		s->leading = false;
		if (s->queue)
			pirn_unpark(s->queue->fiber);
		wal_wake(s);
	}
	return c->result;
}

/* ----------------------------------------------------------------- reading */

/* A window on the log, moved along. */
struct reader {
	struct wal_shard *s;
	char *buf;
	uint64_t from;		/* LSN of its first byte; a multiple of a block */
	bool valid;
};

static int reader_fill(struct reader *r, uint64_t lsn)
{
	struct wal_shard *s = r->s;
	uint64_t place, first;
	int err;

	r->valid = false;
	r->from = lsn / WAL_BLOCK * WAL_BLOCK;
	place = r->from % s->super.log_bytes;
	first = s->super.log_bytes - place;
	if (first > s->group_bytes)
		first = s->group_bytes;
	err = wal_read(s, r->buf, first, wal_log_offset(s) + place);
	if (!err && first < s->group_bytes)
		err = wal_read(s, r->buf + first, s->group_bytes - first,
			       wal_log_offset(s));
	r->valid = !err;
	return err;
}

/* What lies at @lsn and looks like a record of this shard, else NULL. */
static int reader_get(struct reader *r, uint64_t lsn, struct wal_record **found)
{
	uint64_t need = sizeof(struct wal_record);
	struct wal_record *record;
	int err;

	*found = NULL;
	for (int look = 0; look < 2; look++) {
		if (!r->valid || lsn < r->from ||
		    lsn + need > r->from + r->s->group_bytes) {
			err = reader_fill(r, lsn);
			if (err)
				return err;
		}
		record = (struct wal_record *)(r->buf + (lsn - r->from));
		need = record->bytes;
		if (record->salt != r->s->salt || need < sizeof(*record) ||
		    need > WAL_RECORD_BYTES)
			return 0;
	}
	if (record->crc == wal_crc_of(record, need))
		*found = record;
	return 0;
}

/*
 * Applies every good record from the redo point on, to all pages or only to the
 * one in frame @only; *end is where they end.
 */
static int redo(struct reader *r, struct wal_frame *only, uint64_t *end)
{
	struct wal_shard *s = r->s;
	uint64_t lsn = s->super.redo, limit = only ? s->head : UINT64_MAX;
	struct wal_record *record;
	struct wal_frame *f;
	int err;

	while (lsn < limit) {
		err = reader_get(r, lsn, &record);
		if (err)
			return err;
		if (!record || record->lsn != lsn ||
		    record->epoch != s->super.epoch)
			break;
		for (char *at = (char *)(record + 1);
		     at < (char *)record + record->bytes;) {
			struct wal_item *item = (struct wal_item *)at;
			bool image = item->kind == WAL_IMAGE;
			uint32_t number = (uint32_t)
				(image ? item->number : item->number / WAL_SLOTS);

			at += sizeof(*item) + wal_round(item->bytes, 8);
			if (only && only->number != number)
				continue;
			f = only;
			err = f ? 0 : wal_page_get(s, number, image, &f);
			if (err)
				return err;
			if (!only)
				wal_page_settle(s, f);
			if (image)
				memcpy(f->page, item + 1, WAL_BLOCK);
			else
				change(f->page, item->number, item + 1,
				       item->bytes, record->lsn);
			if (only)
				continue;
			f->dirty = true;
			wal_page_put(s, f);
		}
		lsn += record->bytes;
		if (record->last)
			lsn = wal_round(lsn, WAL_BLOCK);
		if (!only) {
			s->head = lsn;	/* a repair meanwhile goes up to here */
			s->stats.redone++;
		}
	}
	*end = lsn;
	return 0;
}

/* Whether the log goes on behind the place where redo() stopped. */
static int look_behind(struct reader *r, uint64_t stop)
{
	struct wal_shard *s = r->s;
	struct wal_record *record;
	uint64_t lsn;
	int err;

	if (stop < s->super.end)
		return wal_fail(s, -EBADMSG, "the log ends at %llu, and went to %llu once",
				(unsigned long long)stop,
				(unsigned long long)s->super.end);
	for (lsn = wal_round(stop, WAL_BLOCK);
	     lsn < s->super.redo + s->super.log_bytes; lsn += WAL_BLOCK) {
		err = reader_get(r, lsn, &record);
		if (err)
			return err;
		if (!record || record->lsn < stop ||
		    record->epoch < s->super.epoch ||
		    (record->epoch == s->super.epoch && record->group <= stop))
			continue;
		return wal_fail(s, -EBADMSG, "the log is damaged at %llu: commits follow at %llu",
				(unsigned long long)stop,
				(unsigned long long)record->lsn);
	}
	return 0;
}

int wal_log_recover(struct wal_shard *s)
{
	struct reader r = { .s = s, .buf = pirn_buf_alloc(s->group_bytes) };
	uint64_t end;
	int err;

	if (!r.buf)
		return -ENOMEM;
	err = redo(&r, NULL, &end);
	if (!err)
		err = look_behind(&r, end);
	s->head = wal_round(end, WAL_BLOCK);
	pirn_buf_free(r.buf);
	return err;
}

/*
 * Fills a frame whose page on disk is bad with what the log says, if that comes
 * to the checksum in the map: it does when the page was logged since the last
 * checkpoint.  Writes it to its place before log may be freed again.
 */
int wal_log_repair(struct wal_shard *s, struct wal_frame *f)
{
	struct reader r = { .s = s, .buf = pirn_buf_alloc(s->group_bytes) };
	uint64_t end;
	int err;

	if (!r.buf)
		return -ENOMEM;
	while (s->freeing)
		wal_wait(s);
	s->repairing++;
	memset(f->page, 0, WAL_BLOCK);
	err = redo(&r, f, &end);
	if (!err)
		err = wal_page_mend(s, f);
	s->repairing--;
	wal_wake(s);
	pirn_buf_free(r.buf);
	return err;
}
