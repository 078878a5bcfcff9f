/* SPDX-License-Identifier: MIT */
/* What the files of the command pirn share. */
#ifndef PIRN_CMD_H
#define PIRN_CMD_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <pirn.h>

enum {
	EXIT_FAILED	= 1,	/* the command line was right, the work failed */
	EXIT_USAGE	= 2	/* the command line was wrong */
};

/* A subcommand, or a subject of one.  @run gets argv[0] as command_name. */
struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
};

/* "pirn cp" and the like: what each message starts with. */
extern const char *command_name;

/* commands.c; a table ends with an entry whose name is NULL. */
void command_list(FILE *out, const struct command *table);
/*
 * Runs the entry of @table that the command line names, with "OUTER NAME" as
 * command_name, and gives its exit status; false when the line names none.
 */
bool command_choose(const struct command *table, const char *args_doc,
		    const char *doc, int argc, char **argv, int *status);

int info_command(int argc, char **argv);
int cp_command(int argc, char **argv);
int stat_command(int argc, char **argv);
int trace_command(int argc, char **argv);
int bench_command(int argc, char **argv);
int sim_command(int argc, char **argv);

/* args.c: command lines. */

/* One line on stderr, "pirn cp: ...". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* complain(), then exit with EXIT_USAGE. */
void args_bad(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
/*
 * argp_parse() whose mistakes are one line and exit status 2.  Parsers call
 * args_bad() for what they refuse.
 */
void args_parse(const struct argp *argp, int argc, char **argv,
		unsigned int flags, void *input);
/* The value of option @name, plain or with K, M or G; args_bad() if it is none. */
uint64_t args_number(const char *name, const char *text, uint64_t least,
		     uint64_t most);
enum pirn_backend args_backend(const char *text);
/*
 * pirn_run() said no: complains, and what to exit with.  An option that it
 * refuses was on the command line.
 */
int args_run_failed(int err, const char *message);

/* open.c: files and block devices to work on. */

/* One line on why @path was not opened; returns @err. */
int open_complain(const char *path, int err);

/* cores.c: the same function on every core. */

/*
 * Runs fn(arg) in a fiber on each core of the runtime and parks until all have
 * ended.  0, or the least of what they returned or of the errnos of starting
 * them.
 */
int cores_run(int (*fn)(void *arg), void *arg);
/*
 * Runs fn(arg) in @count fibers of this core and parks until all have ended; a
 * result as of cores_run().
 */
int cores_run_fibers(unsigned int count, int (*fn)(void *arg), void *arg);

#endif /* PIRN_CMD_H */
