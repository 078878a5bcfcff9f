// SPDX-License-Identifier: MIT
/*
 * Runs scenario.c over seeds.
 *
 * With PIRN_SIM in the environment, as "pirn sim" sets it, one seed is run, with
 * the faults it names or, without any, those of the set chosen.  Else this runs
 * seeds by itself and stops at the first that fails.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scenario.h"

static int usage(const char *mistake)
{
	fprintf(stderr, "sim: %s; [--seeds N] [--first S] [--set survive|detect] [--faults LIST] [--no-flush] [--verbose]\n",
		mistake);
	return 2;
}

static void report(double took)
{
	const struct scenario_totals *t = &scenario_totals;

	printf("%s: %" PRIu64 " seeds, %" PRIu64 " lives, %" PRIu64 " crashes, %"
	       PRIu64 " commits in %" PRIu64 " groups, %" PRIu64 " checkpoints, %"
	       PRIu64 " page reads, %" PRIu64 " redone, %" PRIu64 " mended, %"
	       PRIu64 " failed to open, %" PRIu64 " refused; %.2f ms a seed\n",
	       scenario_args.detect ? "detect" : "survive", t->seeds, t->lives,
	       t->crashes, t->commits, t->groups, t->checkpoints,
	       t->page_reads, t->redone, t->repairs,
	       t->failed_open, t->refused, took * 1e3 / (double)t->seeds);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' },
		{ "set", required_argument, NULL, 's' },
		{ "faults", required_argument, NULL, 'F' },
		{ "no-flush", no_argument, NULL, 'x' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 }
	};
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	uint64_t seeds = 100, first = 1, seed;
	struct timespec from, to;
	char why[256], text[256];
	int c, err;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			seeds = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			first = strtoull(optarg, NULL, 0);
			break;
		case 's':
			scenario_args.detect = !strcmp(optarg, "detect");
			if (!scenario_args.detect && strcmp(optarg, "survive"))
				return usage("--set is survive or detect");
			break;
		case 'F':
			snprintf(text, sizeof(text), "faults=%s", optarg);
			if (pirn_sim_options_parse(&opt, text, why, sizeof(why)))
				return usage(why);
			break;
		case 'x':
			scenario_args.no_flush = true;
			break;
		case 'v':
			scenario_args.verbose = true;
			break;
		default:
			return usage("see the options");
		}
	}
	err = pirn_sim_options_env(&opt, why, sizeof(why));
	if (err == -EINVAL)
		return usage(why);
	if (!err)
		return !scenario_run(&opt);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (seed = first; seed < first + seeds; seed++) {
		opt.seed = seed;
		if (!scenario_run(&opt))
			return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	report((double)(to.tv_sec - from.tv_sec) +
	       1e-9 * (double)(to.tv_nsec - from.tv_nsec));
	return 0;
}
