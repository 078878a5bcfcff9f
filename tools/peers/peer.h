/* SPDX-License-Identifier: MIT */
/*
 * What the programs for "pirn bench --peers" share; C and C++.  Each is run as
 *
 *	PROGRAM SUBJECT CPU[,CPU] SAMPLES QUICK
 *
 * and prints a line for each figure it has of the subject, "KEY SAMPLE ...", with
 * the keys and units of tools/pirn/bench_SUBJECT.c; nothing for a subject it does
 * not have.  The samples are taken as tools/pirn/bench_measure.c takes them.
 */
#ifndef PEER_H
#define PEER_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct peer_run {
	const char *subject;
	int cpu[2];
	unsigned int samples;	/* 0: as the clock has it */
	int quick;
};

static inline uint64_t peer_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Puts this thread on the first or the second CPU. */
static inline void peer_pin(const struct peer_run *run, int which)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(run->cpu[which], &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set)) {
		fprintf(stderr, "peer: no CPU %d here\n", run->cpu[which]);
		exit(1);
	}
}

/* Ends the program unless as much was done as the figures were divided by. */
static inline void peer_counted(const char *what, uint64_t counted,
				uint64_t expected)
{
	if (expected && counted == expected)
		return;
	fprintf(stderr, "peer: counted %llu %s where %llu were expected\n",
		(unsigned long long)counted, what, (unsigned long long)expected);
	exit(1);
}

/*
 * Samples fn(arg, rounds), which holds @units units a round, in thread CPU time
 * or, with @two_cores, in elapsed time, and prints the line.
 */
static inline void peer_measure(const struct peer_run *run, const char *key,
				void (*fn)(void *arg, uint64_t rounds),
				void *arg, double units, int two_cores)
{
	clockid_t clock = two_cores ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
	uint64_t ns = two_cores ? 10000000 : 50000000, rounds = 1, from, took;
	unsigned int samples = two_cores ? 55 : 11;

	if (run->quick) {
		samples = 1;
		ns = 1000000;
	}
	if (run->samples)
		samples = run->samples;
	for (;;) {
		from = peer_clock(clock);
		fn(arg, rounds);
		took = peer_clock(clock) - from;
		if (took >= ns / 8)
			break;
		rounds *= 2;
	}
	rounds = (uint64_t)((double)rounds * (double)ns / (double)took) + 1;
	printf("%s", key);
	while (samples--) {
		from = peer_clock(clock);
		fn(arg, rounds);
		took = peer_clock(clock) - from;
		printf(" %.4f", (double)took / ((double)rounds * units));
	}
	putchar('\n');
	fflush(stdout);
}

/* The arguments; pins the thread to the first CPU. */
static inline struct peer_run peer_start(int argc, char **argv)
{
	struct peer_run run;
	int cpus;

	memset(&run, 0, sizeof(run));
	if (argc != 5) {
		fprintf(stderr, "%s: is run by pirn bench --peers, as SUBJECT CPU[,CPU] SAMPLES QUICK\n",
			argv[0]);
		exit(2);
	}
	run.subject = argv[1];
	cpus = sscanf(argv[2], "%d,%d", &run.cpu[0], &run.cpu[1]);
	if (cpus < 1) {
		fprintf(stderr, "%s: '%s' are no CPUs\n", argv[0], argv[2]);
		exit(2);
	}
	if (cpus == 1)
		run.cpu[1] = run.cpu[0];
	run.samples = (unsigned int)strtoul(argv[3], NULL, 10);
	run.quick = argv[4][0] == '1';
	peer_pin(&run, 0);
	return run;
}

static inline int peer_is(const struct peer_run *run, const char *subject)
{
	return strcmp(run->subject, subject) == 0;
}

#endif /* PEER_H */
