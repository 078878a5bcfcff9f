/* SPDX-License-Identifier: MIT */
/*
 * A small storage engine on pirn, made to be copied: numbered records of up to
 * 124 bytes that survive a crash, by a write-ahead log with group commit and a
 * page cache.  One shard a core, each with a region of its own of one file or
 * block device; a record's number says its shard, and every call goes there.
 *
 * In the order to read it: this file; format.h, what is on disk and in memory;
 * log.c, how a commit becomes durable; pages.c, the cache; wal.c, checkpoint,
 * recovery and the calls below.
 *
 * What happens when                         what this engine does
 *
 * Survives: every acknowledged commit is there afterwards, whole
 *   a crash loses writes not flushed,       the log is durable before the
 *   any of them, in any order               answer; pages are flushed before
 *                                           the log that can redo them is freed
 *   a write is torn at a sector             log: stops at the bad record; page:
 *                                           its image is in the log
 *   a read fails now and then               tried again
 *   a page write fails now and then         tried again: memory still holds it
 *   a log write or a flush fails            final: the shard only reads until it
 *                                           is opened again; commits under way
 *                                           get -EIO, their outcome unknown
 *   a page is bad, or its write was lost    found by its checksum; mended when
 *   or went elsewhere                       the log since the last checkpoint
 *                                           has it
 *
 * Detects: an error, never a wrong value
 *   a bad page the log does not have        -EBADMSG for its records
 *   a bad place in the log with commits     the shard is not opened: -EBADMSG
 *   after it, or a lost superblock
 *
 * Cannot tell
 *   the device forgot the very end of the   what is there is what was committed
 *   log although it said it was durable     until some moment, a prefix
 */
#ifndef WAL_H
#define WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_VALUE_BYTES	124u	/* of a record, at most */
#define WAL_WRITES	4u	/* records one commit may change */

struct wal;

struct wal_options {
	uint32_t frames;	/* pages cached a shard, from 16: 256 */
	/*
	 * For tests and measurements only: nothing is made durable, and a crash
	 * loses what was acknowledged.
	 */
	bool no_flush;
};

struct wal_shape {
	uint32_t shards;
	uint64_t shard_bytes;	/* region of each; a multiple of 4096 */
	uint64_t log_bytes;	/* of that the log: 128 KiB up, a multiple of 4096 */
	bool force;		/* even when there is a store already */
};

/* A new value of a record; no bytes: it is removed. */
struct wal_write {
	uint64_t key;
	const void *value;
	uint32_t bytes;
};

struct wal_stats {
	uint64_t commits;
	uint64_t groups;	/* writes of the log that carried them */
	uint64_t log_bytes;
	uint64_t page_reads;
	uint64_t page_writes;
	uint64_t checkpoints;
	uint64_t repairs;	/* pages mended from the log */
	uint64_t redone;	/* records of the log applied when opened */
};

/*
 * Everything below parks and is called in a fiber, on any core.  Errors are
 * negative errnos, and wal_why() says more.  Where the fiber's scope has ended,
 * commits and reads give its error and do nothing; what has begun is carried
 * through.
 */

/*
 * Makes an empty store in a file, created as needed, or on a block device.
 * *wal is only for wal_why() and wal_free() afterwards.
 * -EEXIST: there is one; -EINVAL, -ENOSPC: the shape does not fit.
 */
int wal_init(struct wal **wal, const char *path, const struct wal_shape *shape);

/*
 * Opens a store and recovers each shard on its core: shard N on core N modulo
 * the cores there are.  *wal is set before anything parks, so that a runtime
 * may be dropped meanwhile; wal_close() and wal_free() take it after a failure,
 * too.  -EBADMSG: no store, or one that is damaged.
 */
int wal_open(struct wal **wal, const char *path, const struct wal_options *opt);

/*
 * Writes a checkpoint, so that the next opening has nothing to do, and closes.
 * No other call may be under way.  What a shard failed with, if one did.
 */
int wal_close(struct wal *wal);
/*
 * The same without the checkpoint, after which the store is as if the process had
 * died: the next opening recovers it.  A checkpoint under way is waited for.
 */
int wal_abandon(struct wal *wal);
/* The memory, after either of these or once the runtime is gone.  Anywhere. */
void wal_free(struct wal *wal);

/* Records there is room for; keys are below. */
uint64_t wal_capacity(const struct wal *wal);
uint32_t wal_shards(const struct wal *wal);
/* Records whose keys have the same remainder by wal_shards() share a shard. */

/*
 * Changes up to WAL_WRITES records of one shard, all or none, durably when it
 * returns 0.  -EIO: the log failed under it, and only the next opening will tell
 * whether it is there.  -EROFS: the log failed before, nothing was done.
 * -EXDEV: of several shards; -EINVAL, -ERANGE: too many, too long, no such key.
 */
int wal_commit(struct wal *wal, const struct wal_write *writes, unsigned int n);

/*
 * The bytes of a record, copied to @value (WAL_VALUE_BYTES); 0: there is none.
 * It is always durable already.  -EBADMSG: its page is damaged.
 */
int wal_get(struct wal *wal, uint64_t key, void *value);

/* Reads every page; the number that cannot be read. */
int64_t wal_verify(struct wal *wal);

/* Sums of all shards. */
void wal_stats(struct wal *wal, struct wal_stats *stats);
/* One line on the first shard that failed, or "". */
const char *wal_why(const struct wal *wal);

#endif /* WAL_H */
