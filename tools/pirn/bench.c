// SPDX-License-Identifier: MIT
/*
 * pirn bench: figures of the library, each beside a yardstick measured in turn
 * with it in the same run, because the machine's own speed changes.
 */
#include <stdlib.h>

#include "bench.h"

static const struct command subjects[] = {
	{ "switch", "A fiber yields to another; yardstick: a bare register swap",
	  bench_switch_command },
	{ "io", "Random reads; yardstick: a bare io_uring loop at its best",
	  bench_io_command },
	{ NULL, NULL, NULL }
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_spread bench_spread(double *samples, unsigned int count)
{
	qsort(samples, count, sizeof(samples[0]), compare);
	return (struct bench_spread) {
		.least = samples[0],
		.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2,
		.most = samples[count - 1],
	};
}

int bench_command(int argc, char **argv)
{
	int status;

	if (command_choose(subjects, "[SUBJECT [OPTION...]]",
			   "Measures SUBJECT and its yardstick; without one, "
			   "lists the subjects.", argc, argv, &status))
		return status;
	command_list(stdout, subjects);
	return 0;
}
