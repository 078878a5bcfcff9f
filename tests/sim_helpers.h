/* SPDX-License-Identifier: MIT */
/* What the tests of the simulator share: worlds that must not fail. */
#ifndef PIRN_TESTS_SIM_HELPERS_H
#define PIRN_TESTS_SIM_HELPERS_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <pirn/sim.h>

#include "helpers.h"

#define US 1000ull
#define MS 1000000ull
#define MILLION 1000000u

/* Of so many seeds as many as a sanitizer has time for. */
static inline unsigned int seeds(unsigned int n)
{
	return UNDER_TSAN ? n / 5 : n;
}

/* PIRN_SIM cannot hold the name of every directory: a comma ends a word. */
static inline void into_test_dir(void)
{
	const char *dir = getenv("PIRN_TEST_DIR");

	must(chdir(dir ? dir : "build"));
}

/* A call on @sim that must give @want. */
#define sim_eq(sim, call, want)						\
	do {								\
		long long is_ = (call), wanted_ = (want);		\
		if (is_ != wanted_)					\
			check_failed(__FILE__, __LINE__,		\
				     "%s: %lld, not %lld: %s", #call,	\
				     is_, wanted_,			\
				     pirn_sim_message(sim));		\
	} while (0)

static inline struct pirn_sim *world(const struct pirn_sim_options *opt)
{
	struct pirn_sim *sim;
	char why[256];
	int err = pirn_sim_create(&sim, opt, why, sizeof(why));

	if (err)
		check_failed(__FILE__, __LINE__, "pirn_sim_create: %s: %s",
			     strerror(-err), why);
	return sim;
}

/* Runs fn(arg) on node 0 to its end; what it returned. */
static inline int live(struct pirn_sim *sim, int (*fn)(void *arg), void *arg)
{
	int result = -1;

	sim_eq(sim, pirn_sim_start(sim, 0, NULL, fn, arg), 0);
	sim_eq(sim, pirn_sim_run(sim, PIRN_NEVER), PIRN_SIM_ENDED);
	sim_eq(sim, pirn_sim_result(sim, 0, &result), 0);
	return result;
}

/* The same in a world of its own; its hash in *hash (may be NULL). */
static inline int live_in(const struct pirn_sim_options *opt,
			  int (*fn)(void *arg), void *arg, uint64_t *hash)
{
	struct pirn_sim *sim = world(opt);
	int result = live(sim, fn, arg);

	if (hash)
		*hash = pirn_sim_hash(sim);
	pirn_sim_destroy(sim);
	return result;
}

/* How often a fault was injected. */
static inline uint64_t injected(const struct pirn_sim *sim,
				enum pirn_sim_fault fault)
{
	struct pirn_sim_counts counts = { .size = sizeof(counts) };

	check_eq(pirn_sim_counts(sim, &counts), 0);
	return counts.injected[fault];
}

static inline struct pirn_sim_options with_seed(uint64_t seed)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;

	opt.seed = seed;
	return opt;
}

static inline struct pirn_sim_options with_fault(uint64_t seed,
						 enum pirn_sim_fault fault,
						 uint32_t rate)
{
	struct pirn_sim_options opt = with_seed(seed);

	opt.fault[fault].rate = rate;
	return opt;
}

/* From a fiber: a new or old file. */
static inline struct pirn_file *file_at(const char *path)
{
	struct pirn_file *file;

	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT, 0600), 0);
	return file;
}

#endif /* PIRN_TESTS_SIM_HELPERS_H */
