// SPDX-License-Identifier: MIT
/*
 * Checkpoints, opening and recovery, and the calls of wal.h, which go to the
 * core of the shard: nothing of a shard is locked, because only fibers of one
 * core touch it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define TRIES	3
#define CHUNK	(64u << 10)	/* of map and log written at a time */

/* ------------------------------------------------------- waiting and failing */

void wal_wait(struct wal_shard *s)
{
	pirn_event_clear(&s->changed);
	pirn_event_wait(&s->changed);
}

void wal_wake(struct wal_shard *s)
{
	pirn_event_set(&s->changed);
}

int wal_fail(struct wal_shard *s, int err, const char *format, ...)
{
	char text[120];
	va_list args;

	if (s->error)
		return err;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	s->error = err;
	snprintf(s->why, sizeof(s->why), "shard %u: %s: %s", s->index, text,
		 strerror(-err));
	wal_wake(s);
	return err;
}

/* ---------------------------------------------------------------- plain IO */

/* A read that fails has harmed nothing: some disks succeed the next time. */
int wal_read(struct wal_shard *s, void *buf, size_t bytes, uint64_t offset)
{
	ssize_t n = 0;

	for (int i = 0; i < TRIES; i++) {
		n = pirn_pread(s->file, buf, bytes, offset);
		if (n == (ssize_t)bytes)
			return 0;
		if (n != -EIO)
			break;
	}
	return n < 0 ? (int)n : -ENODATA;	/* the file was cut */
}

/*
 * A write that is not durable yet may be tried again as long as memory holds
 * what was to be written.  A flush, or a durable write, may not: see log.c.
 */
int wal_write(struct wal_shard *s, const void *buf, size_t bytes, uint64_t offset)
{
	ssize_t n = 0;

	for (int i = 0; i < TRIES; i++) {
		n = pirn_pwrite(s->file, buf, bytes, offset, 0);
		if (n != -EIO)
			break;
	}
	return n < 0 ? (int)n : 0;
}

int wal_flush(struct wal_shard *s)
{
	return s->no_flush ? 0 : pirn_fsync(s->file);
}

/* ------------------------------------------------------------ superblock, map */

/* @super goes to the copy of its turn; durable when it returns. */
int wal_super_write(struct wal_shard *s, struct wal_super *super)
{
	char *block = pirn_buf_alloc(WAL_BLOCK);
	ssize_t n;

	if (!block)
		return -ENOMEM;
	super->crc = wal_crc_of(super, sizeof(*super));
	memset(block, 0, WAL_BLOCK);
	memcpy(block, super, sizeof(*super));
	n = pirn_pwrite(s->file, block, WAL_BLOCK,
			s->base + (super->turn & 1) * WAL_BLOCK,
			s->no_flush ? 0 : PIRN_DSYNC);
	pirn_buf_free(block);
	return n < 0 ? (int)n : 0;
}

/* The newer of the two that is right: *super, or -EBADMSG. */
int wal_super_read(struct wal_shard *s, struct wal_super *super)
{
	char *block = pirn_buf_alloc(WAL_BLOCK);
	struct wal_super found;
	int err = 0;

	if (!block)
		return -ENOMEM;
	memset(super, 0, sizeof(*super));
	for (unsigned int copy = 0; copy < 2; copy++) {
		err = wal_read(s, block, WAL_BLOCK, s->base + copy * WAL_BLOCK);
		if (err)
			break;
		memcpy(&found, block, sizeof(found));
		if (found.magic == WAL_MAGIC && found.shard == s->index &&
		    (found.turn & 1) == copy &&
		    found.crc == wal_crc_of(&found, sizeof(found)) &&
		    (!super->magic || found.turn > super->turn))
			*super = found;
	}
	pirn_buf_free(block);
	if (err)
		return err;
	return super->magic ? 0 : -EBADMSG;
}

/* The map, read or written in chunks; @crc becomes its checksum. */
int wal_map_move(struct wal_shard *s, unsigned int copy, bool out, uint32_t *crc)
{
	uint64_t bytes = wal_map_bytes(&s->super), at, n;
	char *buf = pirn_buf_alloc(CHUNK), *map = (char *)s->map;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	*crc = 0;
	for (at = 0; at < bytes && !err; at += n) {
		n = bytes - at < CHUNK ? bytes - at : CHUNK;
		if (out) {
			memcpy(buf, map + at, n);
			*crc = wal_crc32c(*crc, buf, n);
			err = wal_write(s, buf, n, wal_map_offset(s, copy) + at);
		} else {
			err = wal_read(s, buf, n, wal_map_offset(s, copy) + at);
			*crc = wal_crc32c(*crc, buf, n);
			memcpy(map + at, buf, n);
		}
	}
	pirn_buf_free(buf);
	return err;
}

/* -------------------------------------------------------------- checkpoints */

/*
 * Moves the redo point up to image_from.  The order is all there is to it:
 *
 *   1. every page whose last change is older goes to its place
 *   2. the map with their checksums, to the copy that nothing points to yet
 *   3. a flush: the device has both for good
 *   4. the superblock that points there, durable before
 *   5. the log in front of image_from may be written over.
 *
 * With 4 before 3 a crash leaves a superblock that skips the log of pages that
 * never arrived; with 5 before 4, one whose log is gone.  Commits go on all the
 * time: a page that changes meanwhile is in the log behind image_from, whole.
 */
static int checkpoint(struct wal_shard *s, uint32_t epoch)
{
	struct wal_super super = s->super;
	int err;

	super.turn++;
	super.redo = s->image_from;
	super.epoch = epoch;
	err = wal_pages_flush(s, super.redo);
	if (err)
		return err;
	err = wal_map_move(s, super.turn & 1, true, &super.map_crc);
	if (err)
		return wal_fail(s, err, "the map cannot be written");
	/* A page that is being mended needs the log that is about to go. */
	while (s->repairing)
		wal_wait(s);
	s->freeing = true;
	err = wal_flush(s);
	super.end = s->head;
	if (!err)
		err = wal_super_write(s, &super);
	if (err)
		wal_fail(s, err, "a checkpoint cannot be made durable");
	else
		s->super = super;
	s->freeing = false;
	s->stats.checkpoints += !err;
	wal_wake(s);
	return err;
}

static int checkpoint_fiber(void *arg)
{
	struct wal_shard *s = arg;
	int err = checkpoint(s, s->super.epoch);

	s->checkpointing = false;
	wal_wake(s);
	return err;
}

void wal_checkpoint_start(struct wal_shard *s)
{
	if (s->checkpointing || s->error)
		return;
	s->checkpointing = true;
	s->image_from = s->head;
	/* Without a fiber to be had, this one does it, and commits wait. */
	if (pirn_spawn(NULL, checkpoint_fiber, s))
		checkpoint_fiber(s);
}

/* ------------------------------------------------------- opening and closing */

/*
 * One handle for all shards, although each could have its own.  A flush is of the
 * whole device, so when one fails, writes of every shard may be lost: pirn_fsync()
 * gives the error again to all who use the handle, and each of them stops.  With
 * a handle each, the next shard's flush would succeed and mean nothing.
 */
int wal_file_open(struct wal *wal, int flags)
{
	struct wal_shard *s = wal->shard;
	int err = pirn_open(&wal->file, wal->path, flags, 0600);

	if (err)
		return wal_fail(s, err, "%s", wal->path);
	for (uint32_t i = 0; i < wal->shards; i++)
		wal->shard[i].file = wal->file;
	if (WAL_BLOCK % pirn_block_bytes(wal->file))
		return wal_fail(s, -EINVAL, "%s: blocks of %u bytes", wal->path,
				pirn_block_bytes(wal->file));
	return 0;
}

static int open_shard(struct wal_shard *s)
{
	uint32_t crc;
	int err;

	err = wal_super_read(s, &s->super);
	if (err)
		return wal_fail(s, err, "no superblock can be read");
	if (s->super.salt + s->index != s->salt)
		return wal_fail(s, -EBADMSG, "it is of another store");
	s->group_bytes = wal_group_bytes(s->super.log_bytes);
	s->group = pirn_buf_alloc(s->group_bytes);
	err = s->group ? wal_pages_start(s) : -ENOMEM;
	if (err)
		return wal_fail(s, err, "no memory for its pages and log");
	err = wal_map_move(s, s->super.turn & 1, false, &crc);
	if (!err && crc != s->super.map_crc)
		err = -EBADMSG;
	if (err)
		return wal_fail(s, err, "its map cannot be read");
	err = wal_log_recover(s);
	if (err)
		return wal_fail(s, err, "its log cannot be read");
	/*
	 * A new epoch, and so an empty log: what lies behind the head belongs to
	 * commits nobody was told of, and is not to be found ever again.
	 */
	s->image_from = s->head;
	return checkpoint(s, s->super.epoch + 1);
}

static int abandon_shard(struct wal_shard *s)
{
	while (s->leading || s->queue || s->checkpointing)
		wal_wait(s);
	wal_pages_stop(s);
	pirn_buf_free(s->group);
	return s->error;
}

static int close_shard(struct wal_shard *s)
{
	int err = 0, error;

	while (s->leading || s->queue || s->checkpointing)
		wal_wait(s);
	if (s->group && !s->error) {
		s->image_from = s->head;
		err = checkpoint(s, s->super.epoch);
	}
	error = abandon_shard(s);
	return err ? err : error;
}

/* ---------------------------------------------------- to the core of a shard */

static int get_here(struct wal_shard *s, uint64_t key, struct wal_slot *out)
{
	struct wal_frame *f;
	int err = wal_page_get(s, (uint32_t)(key / WAL_SLOTS), false, &f);

	if (err)
		return err;
	*out = f->page->slot[key % WAL_SLOTS];
	wal_page_put(s, f);
	return (int)out->bytes;
}

/*
 * Shielded: what a group or a frame waits for must come to its end, whatever
 * becomes of the scope of the fiber that began it.
 */
static int there(void *arg)
{
	struct wal_call *c = arg;
	int result;

	pirn_shield_begin();
	if (c->fn)
		result = c->fn(c->s);
	else if (c->out)
		result = get_here(c->s, c->key, c->out);
	else
		result = wal_log_commit(c->s, &c->commit);
	pirn_shield_end();
	return result;
}

/* A call to another core is refused when the scope has ended; here we ask. */
static int to_shard(void *arg)
{
	struct wal_call *c = arg;
	unsigned int core = c->s->index % c->s->wal->cores;
	int err, result = 0;

	if ((unsigned int)pirn_core() == core) {
		err = pirn_cancelled();
		return err ? err : there(c);
	}
	err = pirn_call(core, there, c, &result);
	return err ? err : result;
}

/* Runs fn for every shard on its core, all at once; the first error. */
static int each_shard(struct wal *wal, int (*fn)(struct wal_shard *s))
{
	uint32_t made;
	int err = 0, first = 0, result = 0;

	pirn_shield_begin();
	for (made = 0; made < wal->shards; made++) {
		struct wal_call *c = &wal->call[made];

		*c = (struct wal_call){ .s = &wal->shard[made], .fn = fn };
		first = pirn_spawn(&c->fiber, to_shard, c);
		if (first)
			break;
	}
	for (uint32_t i = 0; i < made; i++) {
		err = pirn_join(wal->call[i].fiber, &result);
		first = first ? first : err ? err : result;
	}
	pirn_shield_end();
	return first;
}

/* ------------------------------------------------------------------- public */

int wal_open(struct wal **out, const char *path, const struct wal_options *opt)
{
	/* Shard 0 says how many there are. */
	struct wal *wal = wal_make(path, 1, opt);
	struct wal_super super;
	int err;

	*out = wal;
	if (!wal)
		return -ENOMEM;
	err = wal_file_open(wal, O_RDONLY);
	if (err)
		return err;
	err = wal_super_read(wal->shard, &super);
	if (err)
		return wal_fail(wal->shard, err, "%s holds no store that can be read",
				path);
	pirn_close(wal->file);
	wal_free(wal);
	wal = wal_make(path, super.shards, opt);
	*out = wal;
	if (!wal)
		return -ENOMEM;
	for (uint32_t i = 0; i < wal->shards; i++) {
		wal->shard[i].base = i * super.shard_bytes;
		wal->shard[i].salt = super.salt + i;
	}
	err = wal_file_open(wal, O_RDWR);
	if (err)
		return err;
	/*
	 * What can be read need not be durable: the last run may have ended just
	 * after a write of the log that failed, or was not answered yet, and the
	 * device still has it in its cache.  Recovery would put it into the pages,
	 * and the next crash could take it out of the log again.
	 */
	err = wal_flush(wal->shard);
	if (err)
		return wal_fail(wal->shard, err, "%s cannot be flushed", path);
	return each_shard(wal, open_shard);
}

static int close_with(struct wal *wal, int (*fn)(struct wal_shard *s))
{
	int err = each_shard(wal, fn);

	if (wal->file)
		pirn_close(wal->file);
	wal->file = NULL;
	return err;
}

int wal_close(struct wal *wal)
{
	return close_with(wal, close_shard);
}

int wal_abandon(struct wal *wal)
{
	return close_with(wal, abandon_shard);
}

void wal_free(struct wal *wal)
{
	for (uint32_t i = 0; wal && wal->shard && i < wal->shards; i++) {
		free(wal->shard[i].frame);
		free(wal->shard[i].where);
		free(wal->shard[i].map);
	}
	if (wal) {
		free(wal->shard);
		free(wal->call);
		free(wal->path);
	}
	free(wal);
}

uint64_t wal_capacity(const struct wal *wal)
{
	return (uint64_t)wal->shard->super.pages * WAL_SLOTS * wal->shards;
}

uint32_t wal_shards(const struct wal *wal)
{
	return wal->shards;
}

int wal_commit(struct wal *wal, const struct wal_write *writes, unsigned int n)
{
	struct wal_write mine[WAL_WRITES];
	struct wal_call c = { .commit = { .writes = mine, .n = n } };

	if (!n || n > WAL_WRITES)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++) {
		if (writes[i].key >= wal_capacity(wal) ||
		    writes[i].bytes > WAL_VALUE_BYTES)
			return -ERANGE;
		if (writes[i].key % wal->shards != writes[0].key % wal->shards)
			return -EXDEV;
		mine[i] = writes[i];
		mine[i].key /= wal->shards;
	}
	c.s = &wal->shard[writes[0].key % wal->shards];
	return to_shard(&c);
}

int wal_get(struct wal *wal, uint64_t key, void *value)
{
	struct wal_slot slot;
	struct wal_call c = { .key = key / wal->shards, .out = &slot };
	int bytes;

	if (key >= wal_capacity(wal))
		return -ERANGE;
	c.s = &wal->shard[key % wal->shards];
	bytes = to_shard(&c);
	if (bytes > 0)
		memcpy(value, slot.value, (size_t)bytes);
	return bytes;
}

static int verify_shard(struct wal_shard *s)
{
	struct wal_frame *f;
	int bad = 0, err;

	for (uint32_t i = 0; i < s->super.pages; i++) {
		if (!s->map[i])
			continue;
		err = wal_page_get(s, i, false, &f);
		bad += err != 0;
		if (!err)
			wal_page_put(s, f);
	}
	s->bad_pages = bad;
	return 0;
}

int64_t wal_verify(struct wal *wal)
{
	int64_t bad = 0;
	int err = each_shard(wal, verify_shard);

	for (uint32_t i = 0; i < wal->shards; i++)
		bad += wal->shard[i].bad_pages;
	return err ? err : bad;
}

void wal_stats(struct wal *wal, struct wal_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	for (uint32_t i = 0; i < wal->shards; i++) {
		const uint64_t *from = (const uint64_t *)&wal->shard[i].stats;

		for (size_t n = 0; n < sizeof(*stats) / sizeof(*from); n++)
			((uint64_t *)stats)[n] += from[n];
	}
}

const char *wal_why(const struct wal *wal)
{
	for (uint32_t i = 0; wal && i < wal->shards; i++)
		if (wal->shard[i].why[0])
			return wal->shard[i].why;
	return "";
}
