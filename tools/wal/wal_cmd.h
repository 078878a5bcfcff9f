/* SPDX-License-Identifier: MIT */
/* The command wal: what its files share. */
#ifndef WAL_CMD_H
#define WAL_CMD_H

#include "pirn_cmd.h"
#include "wal.h"

/* Options of every subcommand; each reads those it has. */
struct wal_args {
	const char *path;
	struct wal_shape shape;
	struct wal_options opt;
	struct pirn_options run;
	uint64_t records;
	uint64_t commits;
	unsigned int fibers;	/* a shard */
	unsigned int bytes;	/* of a value */
};

int wal_bench_command(int argc, char **argv);

/* Reads a command line: the options named by @keys, and one path. */
void wal_args_parse(struct wal_args *args, const char *keys, const char *doc,
		    int argc, char **argv);
/* Runs fn(args) in a runtime; its exit status. */
int wal_run(struct wal_args *args, int (*fn)(void *args));
/* One line about what failed; EXIT_FAILED. */
int wal_complain(const struct wal *wal, const char *what, int err);

/* A value that tells which record and which round it is of. */
void wal_fill(char *value, unsigned int bytes, uint64_t key, uint64_t round);

#endif /* WAL_CMD_H */
