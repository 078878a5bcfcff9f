// SPDX-License-Identifier: MIT
/* pirn stat: a table, a line a CPU and one for their sum; or the same as JSON. */
#include <string.h>

#include "json.h"
#include "stat.h"

#define LEAST_WIDTH 10
#define BYTES_WIDTH 15	/* of a petabyte less one */

/* What is printed of a CPU: counts, in all or of the time between two samples. */
struct line {
	uint64_t count[STAT_COUNTERS];
	double seconds;		/* 0: in all */
};

/* NULL: the CPU is not in it. */
static const struct stat_cpu *find(const struct stat_sample *sample,
				   unsigned int cpu)
{
	for (unsigned int i = 0; i < sample->count; i++)
		if (sample->cpus[i].cpu == cpu)
			return &sample->cpus[i];
	return NULL;
}

/* The kernel does not count it; then it does not on any CPU. */
static bool absent(const struct line *line, int counter)
{
	return line->count[counter] == STAT_ABSENT;
}

/*
 * The counters never decrease: where one has, the module was loaded anew, and it
 * counts from 0; so does a CPU that was not there.
 */
static struct line line_of(const struct stat_sample *before, double seconds,
			   const struct stat_cpu *cpu)
{
	const struct stat_cpu *old = before ? find(before, cpu->cpu) : NULL;
	struct line line = { .seconds = seconds };

	for (int c = 0; c < STAT_COUNTERS; c++) {
		line.count[c] = cpu->value[c];
		if (absent(&line, c))
			continue;
		if (old && c != STAT_IN_FLIGHT && old->value[c] <= cpu->value[c])
			line.count[c] -= old->value[c];
	}
	return line;
}

static void add(struct line *sum, const struct line *line)
{
	for (int c = 0; c < STAT_COUNTERS; c++)
		if (absent(line, c))
			sum->count[c] = STAT_ABSENT;
		else
			sum->count[c] += line->count[c];
}

static bool something(const struct line *line)
{
	for (int c = 0; c < STAT_COUNTERS; c++)
		if (line->count[c] && !absent(line, c))
			return true;
	return false;
}

/* In_flight is what it is now, all else a second. */
static bool is_rate(const struct line *line, int counter)
{
	return line->seconds > 0 && counter != STAT_IN_FLIGHT;
}

/* Completed an ENTER; < 0: there was none. */
static double batch(const struct line *line)
{
	if (!line->count[STAT_ENTERS])
		return -1;
	return (double)line->count[STAT_COMPLETED] /
	       (double)line->count[STAT_ENTERS];
}

/* ------------------------------------------------------------------- text */

static int width(int counter)
{
	int length = (int)strlen(stat_names[counter]);

	if (counter == STAT_BYTES_READ || counter == STAT_BYTES_WRITTEN)
		return BYTES_WIDTH;
	return length < LEAST_WIDTH ? LEAST_WIDTH : length;
}

static void text_head(double seconds)
{
	if (seconds > 0)
		printf("a second, over %.3f s\n", seconds);
	printf("%-4s", "cpu");
	for (int c = 0; c < STAT_COUNTERS; c++)
		printf("  %*s", width(c), stat_names[c]);
	printf("  %9s\n", "ops/enter");
}

static void text_line(const char *name, const struct line *line)
{
	printf("%-4s", name);
	for (int c = 0; c < STAT_COUNTERS; c++) {
		if (absent(line, c))
			printf("  %*s", width(c), "-");
		else if (is_rate(line, c))
			printf("  %*.0f", width(c),
			       (double)line->count[c] / line->seconds);
		else
			printf("  %*llu", width(c),
			       (unsigned long long)line->count[c]);
	}
	if (batch(line) < 0)
		printf("  %9s\n", "-");
	else
		printf("  %9.2f\n", batch(line));
}

/* ------------------------------------------------------------------- JSON */

static void json_head(struct json *json, double seconds)
{
	json_open(json, NULL, '{');
	if (seconds > 0)
		json_number(json, "seconds", seconds);
	json_open(json, "cpus", '[');
}

static void json_line(struct json *json, const struct line *line)
{
	for (int c = 0; c < STAT_COUNTERS; c++) {
		if (absent(line, c))
			continue;
		if (is_rate(line, c))
			json_number(json, stat_names[c],
				    (double)line->count[c] / line->seconds);
		else
			json_count(json, stat_names[c], line->count[c]);
	}
	if (batch(line) >= 0)
		json_number(json, "ops_per_enter", batch(line));
	json_close(json);
}

/* ------------------------------------------------------------------ print */

static void print_cpu(struct json *json, bool as_json, unsigned int cpu,
		      const struct line *line)
{
	char name[16];

	if (as_json) {
		json_open(json, NULL, '{');
		json_count(json, "cpu", cpu);
		json_line(json, line);
		return;
	}
	snprintf(name, sizeof(name), "%u", cpu);
	text_line(name, line);
}

void stat_print(const struct stat_format *format,
		const struct stat_sample *before, const struct stat_sample *now)
{
	double seconds = before ? (double)(now->when - before->when) / 1e9 : 0;
	struct json json = { .out = stdout };
	struct line sum = { .seconds = seconds };

	if (format->json)
		json_head(&json, seconds);
	else
		text_head(seconds);
	for (unsigned int i = 0; i < now->count; i++) {
		struct line line = line_of(before, seconds, &now->cpus[i]);

		add(&sum, &line);
		if (something(&line) || format->all)
			print_cpu(&json, format->json, now->cpus[i].cpu, &line);
	}
	if (!format->json) {
		text_line("all", &sum);
		return;
	}
	json_close(&json);
	json_open(&json, "all", '{');
	json_line(&json, &sum);
	json_close(&json);
}
