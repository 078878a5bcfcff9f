/* SPDX-License-Identifier: MIT */
/*
 * What the programs of tests/torture share. Each is one long attempt to break
 * the module, that a seed repeats and a bound ends; run by tests/vm/torture as
 * root in a virtual machine. Status 0: nothing broke; 1: something did; 77: this
 * machine cannot do it, said in a line.
 */
#ifndef PIRN_TESTS_TORTURE_H
#define PIRN_TESTS_TORTURE_H

#include "device.h"

struct torture {
	const char *name;
	const char *what;	/* for --help: one sentence, and how long it takes */
	const char *unit;	/* of the bound */
	uint64_t bound;		/* by default */
	uint64_t seed;
};

/* Reads the command line into @t: bound and seed. */
void torture_begin(struct torture *t, int argc, char **argv);

/* Tells how far it is, at most every five seconds. */
void torture_progress(uint64_t done);

/* The user that charges are looked for at: nobody else is. */
#define TORTURE_UID 54321
#define TORTURE_LOCKED (8 * MiB)

/* This process goes on as that user, with that RLIMIT_MEMLOCK. */
void become_user(void);

/*
 * Fails unless all that processes left behind goes away: no op in flight, each
 * that was submitted completed once, nothing charged, the module unloaded.
 */
void check_nothing_left(void);

/* The same, without unloading the module: for in between. */
void check_ops_ended(void);
void check_nothing_charged(void);

/* Runs @command in a shell; it must succeed. */
__attribute__((format(printf, 1, 2)))
void shell(const char *command, ...);

/* Ends the program as one this machine cannot run. */
__attribute__((noreturn))
void cannot(const char *why);

#endif /* PIRN_TESTS_TORTURE_H */
