// SPDX-License-Identifier: MIT
/*
 * pirn bench: how everything is measured.  The machine's own speed changes, so
 * a work and its yardsticks are sampled in turn, and medians are compared.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MOST_ROUNDS (1ull << 40)

/* How many samples, and how long one takes. */
struct plan {
	unsigned int samples;
	uint64_t ns;
};

static struct plan plan(const struct bench *bench, enum bench_clock clock)
{
	static const struct plan plans[] = {
		[BENCH_ONE_CORE] = { 11, 50000000 },
		[BENCH_TWO_CORES] = { 55, 10000000 },
	};
	struct plan p = plans[clock];

	if (bench->quick)
		p = (struct plan){ 1, 1000000 };
	if (bench->repetitions)
		p.samples = bench->repetitions;
	return p;
}

/* ----------------------------------------------------------------- spread */

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

/* ------------------------------------------------------------------- rows */

struct bench_row *bench_row(struct bench *bench, const char *key,
			    const char *name, const char *unit)
{
	struct bench_row *rows, *row;

	rows = reallocarray(bench->rows, bench->row_count + 1, sizeof(*rows));
	if (!rows) {
		complain("%s", strerror(ENOMEM));
		return NULL;
	}
	bench->rows = rows;
	row = &rows[bench->row_count++];
	*row = (struct bench_row){ .subject = bench->subject };
	snprintf(row->key, sizeof(row->key), "%s", key);
	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->unit, sizeof(row->unit), "%s", unit);
	return row;
}

int bench_note(struct bench *bench, const char *format, ...)
{
	char **notes, *text;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return -ENOMEM;
	notes = reallocarray(bench->notes, bench->note_count + 1, sizeof(*notes));
	if (!notes) {
		free(text);
		return -ENOMEM;
	}
	bench->notes = notes;
	notes[bench->note_count++] = text;
	return 0;
}

int bench_counted(const char *what, uint64_t counted, uint64_t expected,
		  uint64_t slack)
{
	if (expected && counted + slack >= expected && counted <= expected + slack)
		return 0;
	complain("counted %llu %s where %llu were expected: the figures are wrong",
		 (unsigned long long)counted, what,
		 (unsigned long long)expected);
	return -EIO;
}

/* -------------------------------------------------------------- measuring */

/* How many rounds take about @ns; 0: no number of them takes any time. */
static uint64_t calibrate(const struct bench_work *work, uint64_t ns)
{
	uint64_t took, rounds = 1;

	while ((took = work->run(work->arg, rounds)) < ns / 8) {
		rounds *= 2;
		if (rounds > MOST_ROUNDS)
			return 0;
	}
	return (uint64_t)((double)rounds * (double)ns / (double)took) + 1;
}

static int add_row(struct bench *bench, const struct bench_work *works,
		   const struct bench_work *work, unsigned int samples, int which)
{
	struct bench_row *row = bench_row(bench, work->key, work->name,
					  work->unit);
	double copy[BENCH_SAMPLES];
	int beside = work->beside[which];

	if (!row)
		return -ENOMEM;
	memcpy(copy, work->samples, sizeof(copy));
	row->samples = samples;
	row->spread = bench_spread(copy, samples);
	if (beside == BENCH_NONE)
		return 0;
	memcpy(copy, works[beside].samples, sizeof(copy));
	row->yard = bench_spread(copy, samples).median;
	row->goal = which ? 0 : work->goal;
	snprintf(row->yardstick, sizeof(row->yardstick), "%s",
		 works[beside].name);
	return 0;
}

static int add_rows(struct bench *bench, const struct bench_work *works,
		    unsigned int count, unsigned int samples)
{
	int err = 0;

	for (unsigned int i = 0; i < count && !err; i++) {
		if (works[i].hidden)
			continue;
		err = add_row(bench, works, &works[i], samples, 0);
		if (!err && works[i].beside[1] != BENCH_NONE)
			err = add_row(bench, works, &works[i], samples, 1);
	}
	return err;
}

int bench_measure(struct bench *bench, enum bench_clock clock,
		  struct bench_work *works, unsigned int count)
{
	struct plan p = plan(bench, clock);

	for (unsigned int i = 0; i < count; i++) {
		works[i].rounds = calibrate(&works[i], p.ns);
		if (!works[i].rounds) {
			complain("%s: did nothing that takes time", works[i].name);
			return -EIO;
		}
	}
	for (unsigned int s = 0; s < p.samples; s++) {
		for (unsigned int i = 0; i < count; i++) {
			struct bench_work *work = &works[i];
			uint64_t ns = work->run(work->arg, work->rounds);

			work->samples[s] = (double)ns /
					   ((double)work->rounds * work->units);
		}
	}
	return add_rows(bench, works, count, p.samples);
}

/* ---------------------------------------------------------------- runtime */

/* Appends a CPU to the list in @text. */
static void add_cpu(char *text, size_t bytes, int cpu)
{
	size_t used = strlen(text);

	snprintf(text + used, bytes - used, "%s%d", used ? "," : "", cpu);
}

/* The first @cores of a list as 0-3,8; all with 0. -EINVAL: fewer are in it. */
static int first_cpus(const char *list, unsigned int cores, char *text,
		      size_t bytes)
{
	unsigned int found = 0;
	int from, to, used;

	text[0] = '\0';
	if (!cores) {
		snprintf(text, bytes, "%s", list);
		return 0;
	}
	while (found < cores && sscanf(list, "%d%n", &from, &used) == 1) {
		list += used;
		to = from;
		if (*list == '-' && sscanf(list + 1, "%d%n", &to, &used) == 1)
			list += used + 1;
		for (; from <= to && found < cores; from++, found++)
			add_cpu(text, bytes, from);
		list += *list == ',';
	}
	return found < cores ? -EINVAL : 0;
}

/* This one, and others that this thread may run on. */
static int near_cpus(unsigned int cores, char *text, size_t bytes)
{
	unsigned int found = 1;
	int here = sched_getcpu();
	cpu_set_t set;

	text[0] = '\0';
	add_cpu(text, bytes, here);
	/* More than 1,024 CPUs: --cpus says which. */
	if (sched_getaffinity(0, sizeof(set), &set))
		CPU_ZERO(&set);
	for (int i = 1; i < CPU_SETSIZE && found < cores; i++) {
		int cpu = (here + i) % CPU_SETSIZE;

		if (!CPU_ISSET(cpu, &set))
			continue;
		add_cpu(text, bytes, cpu);
		found++;
	}
	return found < cores ? -EINVAL : 0;
}

int bench_cpus(struct bench *bench, unsigned int cores)
{
	char *text = bench->subject_cpus;
	size_t bytes = sizeof(bench->subject_cpus);
	int err;

	if (bench->cpus)
		err = first_cpus(bench->cpus, cores, text, bytes);
	else
		err = near_cpus(cores ? cores : 1, text, bytes);
	if (err) {
		complain("%s needs %u CPUs: name them, as in --cpus=0,1",
			 bench->subject, cores);
		bench->misused = bench->cpus;
	}
	return err;
}

int bench_two_cpus(struct bench *bench)
{
	if (pirn_core_cpu(0) != pirn_core_cpu(1))
		return 0;
	complain("%s needs two different CPUs, as in --cpus=0,1",
		 bench->subject);
	bench->misused = bench->cpus;
	return -EINVAL;
}

int bench_run(struct bench *bench, unsigned int cores,
	      const struct pirn_options *opt, int (*fn)(void *arg), void *arg)
{
	struct pirn_options all = PIRN_OPTIONS_INIT;
	char message[256] = "";
	int err, result = 0;

	err = bench_cpus(bench, cores);
	if (err)
		return err;
	if (opt)
		all = *opt;
	all.cpus = bench->subject_cpus;
	if (!all.backend)
		all.backend = bench->backend;
	all.message = message;
	all.message_bytes = sizeof(message);
	err = pirn_run(&all, fn, arg, &result);
	if (err < 0)
		bench->misused = args_run_failed(err, message) == EXIT_USAGE;
	return err < 0 ? err : result;
}
