/* SPDX-License-Identifier: MIT */
/* pirn bench: what its subjects share. */
#ifndef BENCH_H
#define BENCH_H

#include <time.h>

#include "pirn_cmd.h"

int bench_switch_command(int argc, char **argv);
int bench_io_command(int argc, char **argv);

struct bench_spread {
	double least;
	double median;
	double most;
};

/* Sorts @samples; @count is at least 1. */
struct bench_spread bench_spread(double *samples, unsigned int count);

static inline uint64_t bench_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

#endif /* BENCH_H */
