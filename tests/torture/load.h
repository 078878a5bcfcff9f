/* SPDX-License-Identifier: MIT */
/*
 * IO that goes on while something is done to its disk. Each op has a cookie of
 * its own and must end exactly once; how many ended with which result is counted
 * by kind, for the caller to judge.
 */
#ifndef PIRN_TESTS_LOAD_H
#define PIRN_TESTS_LOAD_H

#include "torture.h"

#define LOAD_DEPTH 32u
#define LOAD_BYTES 4096u
#define LOAD_ERRNOS 134u

struct load {
	struct rig rig;
	struct rng rng;
	uint64_t blocks;		/* of LOAD_BYTES, that are read and written */
	uint32_t bytes;			/* of an op */
	bool out[LOAD_DEPTH];		/* op with that slot is in flight */
	uint8_t op[LOAD_DEPTH];
	uint64_t round[LOAD_DEPTH];	/* the op of that slot, in its cookie */
	uint64_t next;
	unsigned int in_flight;
	unsigned int write_percent;
	unsigned int fsync_percent;
	/* since load_forget() */
	uint64_t ended[PIRN_OP_LAST][LOAD_ERRNOS];	/* 0: whole */
	uint64_t cut[PIRN_OP_LAST];			/* fewer bytes than asked */
};

void load_open(struct load *load, const char *disk, uint64_t seed);
void load_close(struct load *load);

/* Keeps the queue full for @ms. */
void load_run(struct load *load, unsigned int ms);
/* Submits what fits, without waiting. */
void load_submit(struct load *load);
/* Takes what has ended. */
void load_reap(struct load *load);
/* Waits until all ops have ended: a minute at most. */
void load_drain(struct load *load);
void load_forget(struct load *load);

uint64_t load_ended(const struct load *load, int op, int error);
/* Fails when an op of kind @op ended with an error that is not in @errors. */
void load_check(const struct load *load, int op, const char *what,
		const int *errors, unsigned int n);

#endif /* PIRN_TESTS_LOAD_H */
