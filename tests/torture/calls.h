/* SPDX-License-Identifier: MIT */
/*
 * The random calls of tests/torture/fuzz.c, on what this process has open and
 * mapped. The same seeds make the same calls.
 */
#ifndef PIRN_TESTS_CALLS_H
#define PIRN_TESTS_CALLS_H

#include "torture.h"

enum kind {
	QUERY, CHANNEL_CREATE, POOL_CREATE, ENTER, ENTER_UNTIL, NOTIFY, TARGET_ATTACH,
	TARGET_DETACH, POOL_ATTACH, POOL_DETACH, UNKNOWN, IOCTLS,
	MMAP = IOCTLS, MUNMAP, MREMAP, PROTECT, ADVISE, CLOSE, DUP, FILE_OP, POLL, EPOLL,
	FORK, PASS, REOPEN, FDINFO, SQES, INDICES, CREATE_GOOD, ATTACH_GOOD, IO_GOOD, KINDS
};

extern const char *const call_name[KINDS];

/* On a file system of its own, for everybody to write. */
#define FUZZED_FILE "/run/fuzzed/file"

/* Makes this process that of an ordinary user, with something to call on. */
void calls_prepare(uint64_t seed);
/* From here on as @seed has it. */
void calls_continue(uint64_t seed);

enum kind any_kind(void);
/* What it returned, with errno. */
int make_call(enum kind kind);

/* Overwrites words of the ring; by any thread. */
void scribble(struct rng *rng, unsigned int words);

#endif /* PIRN_TESTS_CALLS_H */
