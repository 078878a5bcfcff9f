/* SPDX-License-Identifier: MIT */
/*
 * The run that record.c makes and replay.c looks at: both know every commit of
 * it from these figures and a seed.
 */
#ifndef WAL_LOGGED_H
#define WAL_LOGGED_H

#include "oracle.h"

#define LOGGED_SHARDS	2u
#define LOGGED_WRITERS	8u
#define LOGGED_KEYS	20u
#define LOGGED_PAGES	40u	/* more than the cache holds */
#define LOGGED_FRAMES	16u
#define LOGGED_SHARD	(1u << 20)
#define LOGGED_LOG	(128u << 10)
#define LOGGED_BYTES	(LOGGED_SHARDS * LOGGED_SHARD)

static inline void logged_writers(struct oracle_writer *w)
{
	for (unsigned int i = 0; i < LOGGED_WRITERS; i++)
		w[i].keys = LOGGED_KEYS;
	oracle_layout(w, LOGGED_WRITERS, LOGGED_SHARDS, LOGGED_PAGES);
}

#endif /* WAL_LOGGED_H */
