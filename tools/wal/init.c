// SPDX-License-Identifier: MIT
/* Making a store: in memory, and empty on disk. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define ZEROES (64u << 10)

struct wal *wal_make(const char *path, uint32_t shards,
		     const struct wal_options *opt)
{
	struct wal *wal = calloc(1, sizeof(*wal));

	if (!wal)
		return NULL;
	wal->shard = calloc(shards, sizeof(*wal->shard));
	wal->call = calloc(shards, sizeof(*wal->call));
	wal->path = strdup(path);
	if (!wal->shard || !wal->call || !wal->path) {
		wal_free(wal);
		return NULL;
	}
	wal->shards = shards;
	if (opt)
		wal->opt = *opt;
	if (!wal->opt.frames)
		wal->opt.frames = 256;
	wal->cores = (uint32_t)pirn_core_count();
	for (uint32_t i = 0; i < shards; i++) {
		struct wal_shard *s = &wal->shard[i];

		s->wal = wal;
		s->index = i;
		s->frames = wal->opt.frames;
		s->no_flush = wal->opt.no_flush;
		s->queue_end = &s->queue;
	}
	return wal;
}

/* Pages that fit beside the rest: each takes 4 bytes of both maps, too. */
static int shape_super(const struct wal_shape *shape, struct wal_super *super)
{
	uint64_t taken, pages;

	*super = (struct wal_super){
		.magic = WAL_MAGIC,
		.salt = pirn_random(),
		.shards = shape->shards,
		.shard_bytes = shape->shard_bytes,
		.log_bytes = shape->log_bytes,
		.redo = shape->log_bytes,	/* 0 is the LSN of a new page */
		.end = shape->log_bytes,
		.epoch = 1,
	};
	if (!shape->shards || shape->shards > 4096 ||
	    shape->shard_bytes % WAL_BLOCK || shape->log_bytes % WAL_BLOCK ||
	    shape->log_bytes < 128u << 10 || shape->shard_bytes > 1ull << 44 ||
	    shape->log_bytes >= shape->shard_bytes)
		return -EINVAL;
	pages = (shape->shard_bytes - shape->log_bytes) / WAL_BLOCK;
	for (;; pages--) {
		super->pages = (uint32_t)pages;
		taken = 2 * WAL_BLOCK + 2 * wal_map_bytes(super) +
			shape->log_bytes + pages * WAL_BLOCK;
		if (!pages || taken <= shape->shard_bytes)
			break;
	}
	return pages ? 0 : -EINVAL;
}

static int write_zeroes(struct wal_shard *s, uint64_t bytes, uint64_t offset)
{
	uint64_t n;
	char *buf = pirn_buf_alloc(ZEROES);
	int err = buf ? 0 : -ENOMEM;

	if (buf)
		memset(buf, 0, ZEROES);
	for (; bytes && !err; bytes -= n, offset += n) {
		n = bytes < ZEROES ? bytes : ZEROES;
		err = wal_write(s, buf, n, offset);
	}
	pirn_buf_free(buf);
	return err;
}

/*
 * The log is written over, which a device does not need: in a file its blocks
 * then exist, and a durable write to them does not wait for the file system to
 * record new ones.
 */
static int init_shard(struct wal_shard *s)
{
	uint64_t front = wal_log_offset(s) + s->super.log_bytes - s->base;
	int err;

	err = write_zeroes(s, front, s->base);
	if (err)
		return err;
	s->map = calloc(1, wal_map_bytes(&s->super));
	if (!s->map)
		return -ENOMEM;
	err = wal_map_move(s, 0, true, &s->super.map_crc);
	if (!err)
		err = wal_flush(s);
	return err ? err : wal_super_write(s, &s->super);
}

static int make_room(struct wal_shard *s, const struct wal_shape *shape)
{
	uint64_t bytes = shape->shards * shape->shard_bytes;
	int64_t have = pirn_size(s->file);
	struct wal_super old;
	int err;

	if (have < 0)
		return (int)have;
	if (!shape->force && have >= 2 * (int64_t)WAL_BLOCK &&
	    wal_super_read(s, &old) == 0)
		return wal_fail(s, -EEXIST, "%s holds a store of %u shards",
				s->wal->path, old.shards);
	if ((uint64_t)have >= bytes)
		return 0;
	err = pirn_truncate(s->file, bytes);
	if (err == -EINVAL)
		err = -ENOSPC;		/* a device is as long as it is */
	return err ? wal_fail(s, err, "%s has not %llu bytes", s->wal->path,
			      (unsigned long long)bytes) : 0;
}

/* The name of a new file is durable only when its directory is. */
static int sync_name(const char *path)
{
	char *copy = strdup(path);
	int err = copy ? pirn_sync_dir(dirname(copy)) : -ENOMEM;

	free(copy);
	/* A device's directory is no file system on a disk. */
	return err == -EINVAL || err == -ENOTSUP ? 0 : err;
}

int wal_init(struct wal **out, const char *path, const struct wal_shape *shape)
{
	struct wal_super super;
	struct wal_shard *s;
	struct wal *wal;
	int err;

	err = shape_super(shape, &super);
	/* A shape that is wrong gets one shard, to say so. */
	wal = wal_make(path, err ? 1 : shape->shards, NULL);
	*out = wal;
	if (!wal)
		return -ENOMEM;
	s = wal->shard;
	if (err)
		return wal_fail(s, err, "the shape does not fit");
	err = wal_file_open(wal, O_RDWR | O_CREAT);
	if (err)
		return err;
	err = make_room(s, shape);
	/* Shard 0 last: a store is there when its superblock is. */
	for (uint32_t i = shape->shards; i-- > 0 && !err;) {
		s = &wal->shard[i];
		s->super = super;
		s->super.shard = i;
		s->base = i * shape->shard_bytes;
		err = init_shard(s);
		if (err)
			wal_fail(s, err, "cannot be made");
	}
	if (!err)
		err = sync_name(path);
	pirn_close(wal->file);
	return err;
}
