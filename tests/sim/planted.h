/* SPDX-License-Identifier: MIT */
/*
 * What the programs with a planted bug share.  "PROGRAM bad" has it, "PROGRAM
 * good" does the same right; exit status 1 says that the bug showed.
 */
#ifndef PIRN_TESTS_PLANTED_H
#define PIRN_TESTS_PLANTED_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pirn/sim.h>

static bool bad;

/* A call that has to succeed. */
#define right(call)							\
	do {								\
		long long got_ = (call);				\
		if (got_ < 0) {						\
			fprintf(stderr, "%s: %s\n", #call,		\
				strerror((int)-got_));			\
			_exit(3);					\
		}							\
	} while (0)

/* The bug showed. */
#define wrong(...)							\
	do {								\
		fprintf(stderr, __VA_ARGS__);				\
		fputc('\n', stderr);					\
		_exit(1);	/* no destructors beside live fibers */	\
	} while (0)

static inline void choose(int argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "good") && strcmp(argv[1], "bad"))) {
		fprintf(stderr, "usage: %s good|bad\n", argv[0]);
		exit(2);
	}
	bad = !strcmp(argv[1], "bad");
}

static inline int run_plain(int (*fn)(void *arg))
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256] = "";
	int err, result = 0;

	opt.message = message;
	opt.message_bytes = sizeof(message);
	err = pirn_run(&opt, fn, NULL, &result);
	if (err)
		wrong("pirn_run: %s", message);
	return result;
}

/*
 * Runs life(NULL) as node 0, takes the power away at a random time within
 * @within, and runs after(NULL) on what the disks then hold.
 */
static inline int run_and_crash(int (*life)(void *arg), uint64_t within,
				int (*after)(void *arg))
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	struct pirn_sim *sim;
	char why[256] = "";
	int result = 0;

	if (pirn_sim_options_env(&opt, why, sizeof(why)) ||
	    pirn_sim_create(&sim, &opt, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why[0] ? why : "PIRN_SIM is not set");
		exit(3);
	}
	right(pirn_sim_start(sim, 0, NULL, life, NULL));
	right(pirn_sim_run(sim, pirn_sim_now(sim) +
				pirn_sim_random(sim) % within));
	right(pirn_sim_crash(sim, 0));
	right(pirn_sim_start(sim, 0, NULL, after, NULL));
	right(pirn_sim_run(sim, PIRN_NEVER));
	right(pirn_sim_result(sim, 0, &result));
	pirn_sim_destroy(sim);
	return result;
}

#endif /* PIRN_TESTS_PLANTED_H */
