/* SPDX-License-Identifier: MIT */
/* pirn cp: what its files share. */
#ifndef CP_H
#define CP_H

#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "pirn_cmd.h"

/* One side of the copy. */
struct cp_side {
	const char *name;	/* "SRC" or "DST" */
	const char *path;
	struct stat stat;	/* before it was opened */
	bool is_device;
	struct pirn_file *file;
	uint32_t block;		/* of pirn_block_bytes() */
};

/* SRC was shorter than when it was opened; no errno. */
#define CP_ENDED (-4096)

/* The first thing that went wrong, on whichever core. */
struct cp_error {
	int err;		/* negative errno, or CP_ENDED */
	const char *doing;
	const char *path;
	uint64_t offset;
	char reason[200];
};

struct cp {
	/* asked for */
	enum pirn_backend backend;
	const char *cores;
	uint32_t depth;		/* chunks in flight on a core */
	uint32_t chunk;		/* bytes */
	bool verify;
	bool verbose;
	struct cp_side src;
	struct cp_side dst;

	/* found */
	bool dst_exists;	/* before this command */
	uint64_t size;		/* of SRC when it was opened */
	bool say_message;	/* the runtime's, on its backend */

	/* of the pass that runs, written by every core */
	const char *verb;	/* "copied", "verified" */
	uint64_t started;	/* ns */
	_Atomic uint64_t next;	/* chunk that nobody has taken */
	_Atomic uint64_t done;	/* bytes */
	_Atomic uint64_t differs; /* least offset known to differ */
	atomic_flag failed;	/* who sets it fills error */
	atomic_bool stop;	/* error is filled */
	struct cp_error error;

	/* core 0 only */
	bool show_progress;
	uint64_t next_progress;	/* ns */
};

/* Set by SIGINT, SIGTERM or SIGHUP: which. */
extern volatile sig_atomic_t cp_signal;

/* cp_files.c: both sides, before and around the copy.  0, or complained. */

/* Looks at both paths, and refuses what cannot or should not be copied. */
int cp_look(struct cp *cp);
/* In a fiber: opens both sides and checks sizes; has then changed no byte. */
int cp_open(struct cp *cp);
/* Makes DST empty if it is a file; just before the first write. */
int cp_empty_dst(struct cp *cp);
/* Gives DST its true length if it is a file, and makes it durable. */
int cp_finish_dst(struct cp *cp);
void cp_close(struct cp *cp);

/* cp_pass.c: every chunk of SRC once, by many fibers on all cores. */

/* @offset is a multiple of the chunk size; @bytes is less for the last only. */
typedef int cp_chunk_fn(struct cp *cp, void *const *bufs, uint64_t offset,
			uint32_t bytes);

/* 0, or < 0 with cp->error filled or cp_signal set. */
int cp_pass(struct cp *cp, const char *verb, cp_chunk_fn *fn);
/* Notes the first error, with pirn_reason(); returns @err. */
int cp_fail(struct cp *cp, int err, const char *doing, const char *path,
	    uint64_t offset);
/* Reads all of @bytes at @offset, or fails. */
int cp_read(struct cp *cp, const struct cp_side *side, void *buf,
	    uint64_t offset, uint32_t bytes);
/* One line on why the pass ended early, to stderr. */
void cp_complain(const struct cp *cp);

/* cp_chunk.c, cp_verify.c: what is done with a chunk. */
int cp_copy_chunk(struct cp *cp, void *const *bufs, uint64_t offset,
		  uint32_t bytes);
int cp_verify(struct cp *cp);

#define CP_BUFS 2	/* buffers of a chunk each that a fiber has */

static inline uint64_t cp_round_up(uint64_t n, uint32_t block)
{
	return (n + block - 1) / block * block;
}

#endif /* CP_H */
