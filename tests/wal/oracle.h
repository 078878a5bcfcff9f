/* SPDX-License-Identifier: MIT */
/*
 * What a store must hold, kept outside it.
 *
 * Each writer owns keys of one shard and commits one after the other, so that
 * the store must always be as after some number of its commits: those it was
 * told of, and perhaps the one that it was not told of yet.
 */
#ifndef WAL_ORACLE_H
#define WAL_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "wal.h"

#define ORACLE_WRITERS	32u
#define ORACLE_KEYS	24u	/* of a writer */
#define ORACLE_COMMITS	4096u

/* A key's content: 0 for none, else which commit of its writer wrote it. */
struct oracle_commit {
	uint32_t version;	/* goes on over lost commits: none has it twice */
	uint8_t n;
	uint8_t key[WAL_WRITES];
	bool gone[WAL_WRITES];	/* the record was removed */
};

struct oracle_writer {
	uint32_t shard;
	unsigned int keys;
	uint64_t key[ORACLE_KEYS];
	uint32_t now[ORACLE_KEYS];	/* after the commits it was told of */
	struct oracle_commit commit[ORACLE_COMMITS];
	unsigned int n;
	unsigned int acked;	/* of these; the rest, one, may be there or not */
	uint32_t version;
};

/*
 * Keys for @writers writers, each with as many as its `keys` says: on @pages
 * pages that all share, the writers of a shard each in slots of its own.
 */
void oracle_layout(struct oracle_writer *w, unsigned int writers,
		   unsigned int shards, unsigned int pages);

/*
 * All commits are of one record and equally long: then the records of one run of
 * the engine lie where those of the run before did.
 */
extern bool oracle_alike;

/* 64 bits that follow from three numbers. */
uint64_t oracle_random(uint64_t seed, uint64_t a, uint64_t b);

/* A new commit of random keys: @writes, with values in @values. */
unsigned int oracle_begin(struct oracle_writer *w, uint64_t random,
			  struct wal_write *writes,
			  char values[WAL_WRITES][WAL_VALUE_BYTES]);
/* It is there for good. */
void oracle_acked(struct oracle_writer *w);
/* It is not, and never will be. */
void oracle_refused(struct oracle_writer *w);

/*
 * What wal_get() gave for a key while the store is in use.  When it began, its
 * writer was told of @acked commits, and the key was as @before; more may have
 * come meanwhile.  False: it is as after none of these.  A value of a commit
 * nobody was told of yet makes that commit one that stays, because the engine
 * shows only what is durable.
 */
bool oracle_read(struct oracle_writer *w, unsigned int key, unsigned int acked,
		 uint32_t before, const char *value, int bytes);

/*
 * All keys as found after opening: versions, or UNREADABLE.  Right is a store as
 * after the commits told of, or one more, or up to @lost less.  False: it is as
 * after none of these.  Commits that are not there are forgotten, and must not
 * come back.
 */
#define ORACLE_UNREADABLE UINT32_MAX
#define ORACLE_GARBAGE (UINT32_MAX - 1)	/* a value that was never written */
bool oracle_found(struct oracle_writer *w, const uint32_t *found,
		  unsigned int lost);

/* The version a value says, ORACLE_GARBAGE when it is not one of this key. */
uint32_t oracle_version(uint64_t key, const char *value, int bytes);

#endif /* WAL_ORACLE_H */
