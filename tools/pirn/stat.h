/* SPDX-License-Identifier: MIT */
/* pirn stat: what its files share. */
#ifndef STAT_H
#define STAT_H

#include "pirn_cmd.h"

/* The files of a CPU's directory in sysfs, in the order of the ABI document. */
enum stat_counter {
	STAT_SUBMITTED,
	STAT_COMPLETED,
	STAT_FAILED,
	STAT_BYTES_READ,
	STAT_BYTES_WRITTEN,
	STAT_IN_FLIGHT,
	STAT_ENTERS,
	STAT_WAKEUPS,
	STAT_REMOTE_COMPLETIONS,
	STAT_WORKER_PUNTS,
	STAT_SLOW_SUBMITS,
	STAT_JOINS,
	STAT_PREEMPTIONS,
	STAT_RUN_DELAY_NS,
	STAT_COUNTERS
};

extern const char *const stat_names[STAT_COUNTERS];

/* Of one that this kernel does not count. */
#define STAT_ABSENT UINT64_MAX

struct stat_cpu {
	unsigned int cpu;
	uint64_t value[STAT_COUNTERS];	/* STAT_RUN_DELAY_NS may be absent */
};

/* All CPUs at one moment, in order of their numbers. */
struct stat_sample {
	uint64_t when;		/* ns of CLOCK_MONOTONIC */
	unsigned int count;
	struct stat_cpu *cpus;
};

/* stat_read.c: 0, or complained; free it either way. */
int stat_read(struct stat_sample *sample, const char *dir);
void stat_free(struct stat_sample *sample);

/* stat_print.c */
struct stat_format {
	bool json;
	bool all;		/* CPUs with nothing to show, too */
};

/* What @now counts; or, with @before, what was added since, a second. */
void stat_print(const struct stat_format *format,
		const struct stat_sample *before, const struct stat_sample *now);

#endif /* STAT_H */
