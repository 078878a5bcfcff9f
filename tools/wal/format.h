/* SPDX-License-Identifier: MIT */
/*
 * What a shard is on disk and in memory.
 *
 *   store   [ shard 0 | shard 1 | ... ]
 *   shard   [ super 0 | super 1 | map 0 | map 1 | log, a ring | pages ]
 *
 * Everything that is read back carries a CRC32C over itself and over where it
 * belongs (salt, number, position), because a disk may also give what was
 * written for another place or at another time.
 *
 * An LSN is a position in the log as if it never wrapped; LSN modulo the log's
 * length is the place in the ring.
 *
 *   ... freed | super.redo ... image_from ... head | not written yet
 *               ^ recovery     ^ the checkpoint  ^ all below is durable and
 *                 starts here    on its way will   applied; the next group
 *                                start here        starts here
 */
#ifndef WAL_FORMAT_H
#define WAL_FORMAT_H

#include <pirn.h>
#include <pirn/scope.h>
#include <pirn/sync.h>

#include "wal.h"

#define WAL_BLOCK	4096u	/* pages, and what everything is a multiple of */
#define WAL_MAGIC	0x316c61776e726970ull	/* "pirnwal1" */

/*
 * Where to start.  Two copies, written in turn, each naming the map of the same
 * turn: a crash while one is written leaves the other as it was.
 */
struct wal_super {
	uint32_t crc;
	uint32_t shard;
	uint64_t magic;
	uint64_t salt;		/* random for each store: old bytes never fit */
	uint64_t shard_bytes;
	uint64_t log_bytes;
	uint32_t shards;
	uint32_t pages;
	uint64_t turn;		/* the greater of two is the newer */
	uint64_t redo;		/* records from here on are to be applied */
	uint64_t end;		/* and there were some up to here at least */
	uint32_t epoch;		/* of those; see log.c */
	uint32_t map_crc;
};

/* A commit, followed by its items; multiples of 8 bytes. */
struct wal_record {
	uint32_t crc;
	uint32_t bytes;		/* with this header and all items */
	uint64_t lsn;
	uint64_t group;		/* LSN of the first record of the same write */
	uint64_t salt;
	uint32_t epoch;
	uint32_t last;		/* of its group: the next starts at a block */
};

enum wal_item_kind { WAL_IMAGE = 1, WAL_VALUE };

struct wal_item {
	uint32_t kind;
	uint32_t bytes;		/* that follow, padded to 8 */
	uint64_t number;	/* WAL_IMAGE: of the page; WAL_VALUE: the record */
};

struct wal_slot {
	uint32_t bytes;
	char value[WAL_VALUE_BYTES];
};

#define WAL_SLOTS ((WAL_BLOCK - 32) / (uint32_t)sizeof(struct wal_slot))

struct wal_page {
	uint32_t crc;		/* of all that follows; never 0 */
	uint32_t reserved;
	uint64_t salt;
	uint64_t number;
	uint64_t lsn;		/* of the last record applied to it */
	struct wal_slot slot[WAL_SLOTS];
	char rest[WAL_BLOCK - 32 - WAL_SLOTS * sizeof(struct wal_slot)];
};

_Static_assert(sizeof(struct wal_super) <= 512, "a superblock is one sector");
_Static_assert(sizeof(struct wal_record) == 40, "padding would be in the CRC");
_Static_assert(sizeof(struct wal_page) == WAL_BLOCK, "a page is a block");

/* The longest record: each write with the image of its page. */
#define WAL_RECORD_BYTES (sizeof(struct wal_record) + WAL_WRITES * \
	(2 * sizeof(struct wal_item) + WAL_BLOCK + WAL_VALUE_BYTES + 8))

enum wal_frame_state { WAL_EMPTY, WAL_LOADING, WAL_READY, WAL_WRITING };

/* A place of the cache. */
struct wal_frame {
	struct wal_page *page;	/* pool memory */
	uint32_t number;
	uint32_t pins;		/* not to be evicted */
	enum wal_frame_state state;
	bool dirty;		/* newer than on disk */
	bool recent;
	uint64_t logged;	/* LSN of the last record made for it */
};

/* On the stack of the fiber that commits, or of its caller on another core. */
struct wal_commit {
	struct wal_commit *next;
	const struct wal_write *writes;
	unsigned int n;
	struct wal_frame *frame[WAL_WRITES];
	uint64_t lsn;
	struct pirn_fiber *fiber;
	bool done;
	int result;
};

/* Everything of a shard is touched by fibers of its core only. */
struct wal_shard {
	struct wal *wal;
	struct pirn_file *file;
	uint32_t index;
	bool no_flush;
	int error;		/* the shard only reads from now on, and why */
	char why[160];
	int bad_pages;		/* of the last wal_verify() */
	struct wal_super super;	/* the last that is durable */
	uint64_t base;		/* where the region starts */
	uint64_t salt;		/* of this shard */
	struct pirn_event changed;	/* a frame, a group or a checkpoint */
	struct wal_stats stats;

	/* log.c */
	uint64_t head;
	uint64_t image_from;	/* a page logged last before this is logged whole */
	uint32_t group_bytes;	/* a group at most, and a reader's window */
	char *group;
	bool leading;		/* a fiber is writing a group */
	bool checkpointing;
	bool freeing;		/* a superblock that frees log is on its way */
	uint32_t repairing;	/* fibers that read the log for a page */
	struct wal_commit *queue;
	struct wal_commit **queue_end;

	/* pages.c */
	struct wal_frame *frame;
	uint32_t frames;
	uint32_t hand;
	uint32_t *where;	/* a page's frame + 1; 0: not cached */
	uint32_t *map;		/* each page's CRC on disk; 0: never written */
};

/* What a shard's core is asked to do. */
struct wal_call {
	struct wal_shard *s;
	int (*fn)(struct wal_shard *s);	/* or a commit, or a read: */
	struct wal_commit commit;
	uint64_t key;
	struct wal_slot *out;
	struct pirn_fiber *fiber;
};

struct wal {
	struct wal_shard *shard;
	struct wal_call *call;	/* one a shard, to open and close */
	struct pirn_file *file;
	uint32_t shards;
	uint32_t cores;
	struct wal_options opt;
	char *path;
};

static inline uint64_t wal_round(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static inline uint64_t wal_map_bytes(const struct wal_super *super)
{
	return wal_round(4ull * super->pages, WAL_BLOCK);
}

/* Offsets in the file. */
static inline uint64_t wal_map_offset(const struct wal_shard *s, unsigned int copy)
{
	return s->base + 2 * WAL_BLOCK + copy * wal_map_bytes(&s->super);
}

static inline uint64_t wal_log_offset(const struct wal_shard *s)
{
	return wal_map_offset(s, 2);
}

static inline uint64_t wal_page_offset(const struct wal_shard *s, uint32_t number)
{
	return wal_log_offset(s) + s->super.log_bytes +
	       (uint64_t)number * WAL_BLOCK;
}

/*
 * A group is a quarter of the log at most: what is left of it commits fill while
 * a checkpoint is made.
 */
static inline uint32_t wal_group_bytes(uint64_t log_bytes)
{
	uint64_t bytes = log_bytes / 4 / WAL_BLOCK * WAL_BLOCK;

	return bytes < 256u << 10 ? (uint32_t)bytes : 256u << 10;
}

/* crc32c.c: Castagnoli's polynomial, as iSCSI and ext4 use; start with 0. */
uint32_t wal_crc32c(uint32_t crc, const void *data, size_t bytes);
uint32_t wal_crc32c_by_tables(uint32_t crc, const void *data, size_t bytes);

/* The CRC of a structure whose first member it is. */
static inline uint32_t wal_crc_of(const void *self, size_t bytes)
{
	return wal_crc32c(0, (const char *)self + 4, bytes - 4);
}

/* init.c: memory for a store of @shards shards, nothing open. */
struct wal *wal_make(const char *path, uint32_t shards,
		     const struct wal_options *opt);

/* log.c */
int wal_log_commit(struct wal_shard *s, struct wal_commit *c);
int wal_log_recover(struct wal_shard *s);
int wal_log_repair(struct wal_shard *s, struct wal_frame *f);

/* pages.c */
int wal_pages_start(struct wal_shard *s);
void wal_pages_stop(struct wal_shard *s);
/*
 * The page in a frame, pinned; it may be read until the fiber parks.  @replaced:
 * all of it is about to be written over, so it is not read from disk.
 */
int wal_page_get(struct wal_shard *s, uint32_t number, bool replaced,
		 struct wal_frame **frame);
void wal_page_put(struct wal_shard *s, struct wal_frame *f);
/*
 * Parks until the frame's memory may be changed: it is neither being written nor
 * filled.  Whether it did: then others ran, and may have begun to write another.
 */
bool wal_page_settle(struct wal_shard *s, struct wal_frame *f);
int wal_page_mend(struct wal_shard *s, struct wal_frame *f);
int wal_pages_flush(struct wal_shard *s, uint64_t before);

/* wal.c */
/*
 * Begins a checkpoint in a fiber of its own, unless one is on its way.  Only
 * between two groups: one that is on its way was made with older images.
 */
void wal_checkpoint_start(struct wal_shard *s);
/* The first failure of a shard stays. Returns @err. */
int wal_fail(struct wal_shard *s, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int wal_read(struct wal_shard *s, void *buf, size_t bytes, uint64_t offset);
int wal_write(struct wal_shard *s, const void *buf, size_t bytes, uint64_t offset);
int wal_flush(struct wal_shard *s);
int wal_file_open(struct wal *wal, int flags);
/* The newer superblock that is right, or -EBADMSG. */
int wal_super_read(struct wal_shard *s, struct wal_super *super);
/* To the copy of its turn; durable when it returns. */
int wal_super_write(struct wal_shard *s, struct wal_super *super);
/* The map of s->super to or from disk; its checksum. */
int wal_map_move(struct wal_shard *s, unsigned int copy, bool out, uint32_t *crc);
/* Parks until something of the shard has changed: look again afterwards. */
void wal_wait(struct wal_shard *s);
void wal_wake(struct wal_shard *s);

#endif /* WAL_FORMAT_H */
