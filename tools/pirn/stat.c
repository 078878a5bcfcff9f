// SPDX-License-Identifier: MIT
/*
 * pirn stat: what the module has done on each core, from /sys/class/misc/pirn:
 * since it was loaded, or a second, again and again.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "stat.h"

#define SYSFS "/sys/class/misc/pirn"
#define SYSFS_MOST 8

enum {
	OPT_INTERVAL = 256,
	OPT_COUNT,
	OPT_ALL,
	OPT_JSON,
	OPT_SYSFS
};

static const struct argp_option options[] = {
	{ "interval", OPT_INTERVAL, "SECONDS", 0,
	  "Print what was added a second, every so many seconds", 0 },
	{ "count", OPT_COUNT, "N", 0, "So many times (until it is stopped)", 0 },
	{ "all", OPT_ALL, NULL, 0, "CPUs where nothing happened, too", 0 },
	{ "json", OPT_JSON, NULL, 0, "One JSON object a line for each table", 0 },
	/*
	 * For tests: read there, the Nth sample in the Nth directory named, and
	 * take the interval as having passed.
	 */
	{ "sysfs", OPT_SYSFS, "DIR", OPTION_HIDDEN, NULL, 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

struct asked {
	struct stat_format format;
	uint64_t interval;	/* seconds; 0: once, since the module was loaded */
	uint64_t count;		/* 0: no end */
	const char *sysfs[SYSFS_MOST];
	unsigned int sysfs_count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct asked *asked = state->input;

	switch (key) {
	case OPT_INTERVAL:
		asked->interval = args_number("interval", arg, 1, 86400);
		break;
	case OPT_COUNT:
		asked->count = args_number("count", arg, 1, UINT32_MAX);
		break;
	case OPT_ALL:
		asked->format.all = true;
		break;
	case OPT_JSON:
		asked->format.json = true;
		break;
	case OPT_SYSFS:
		if (asked->sysfs_count == SYSFS_MOST)
			args_bad("takes at most %d --sysfs", SYSFS_MOST);
		asked->sysfs[asked->sysfs_count++] = arg;
		break;
	case ARGP_KEY_ARG:
		args_bad("takes options only, and got '%s'; %s --help lists them",
			 arg, command_name);
	case ARGP_KEY_END:
		if (asked->count && !asked->interval)
			args_bad("--count needs --interval, as in --interval=1 --count=%llu",
				 (unsigned long long)asked->count);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The directory of sample @n, from 0; the last one for all that follow. */
static const char *directory(const struct asked *asked, uint64_t n)
{
	if (!asked->sysfs_count)
		return SYSFS;
	return asked->sysfs[n < asked->sysfs_count ? n : asked->sysfs_count - 1];
}

/* Until @interval has passed since @sample, however long printing took. */
static void wait_for_next(const struct asked *asked,
			  const struct stat_sample *sample)
{
	uint64_t until = sample->when + asked->interval * 1000000000ull;
	struct timespec ts = {
		.tv_sec = (time_t)(until / 1000000000ull),
		.tv_nsec = (long)(until % 1000000000ull),
	};

	if (asked->sysfs_count)
		return;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static int follow(const struct asked *asked, struct stat_sample *before)
{
	struct stat_sample now;
	int err = 0;

	for (uint64_t n = 1; !err && (!asked->count || n <= asked->count); n++) {
		wait_for_next(asked, before);
		err = stat_read(&now, directory(asked, n));
		if (!err) {
			if (asked->sysfs_count)
				now.when = before->when +
					   asked->interval * 1000000000ull;
			stat_print(&asked->format, before, &now);
			/* Somebody may read it through a pipe. */
			err = fflush(stdout);
		}
		stat_free(before);
		*before = now;
	}
	return err;
}

int stat_command(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "What the module has done on each core since it was "
		       "loaded, or with --interval a second.\v"
		       "The columns are files in " SYSFS "/cpuN/, documented in "
		       "kmod/sysfs-class-misc-pirn; in_flight is what it is "
		       "now. ops/enter tells how well a core batches. Which process "
		       "waits for which disk is in /sys/kernel/debug/pirn/channels.",
	};
	struct asked asked = { 0 };
	struct stat_sample sample;
	int err;

	args_parse(&argp, argc, argv, 0, &asked);
	err = stat_read(&sample, directory(&asked, 0));
	if (!err && asked.interval)
		err = follow(&asked, &sample);
	else if (!err)
		stat_print(&asked.format, NULL, &sample);
	stat_free(&sample);
	return err ? EXIT_FAILED : 0;
}
