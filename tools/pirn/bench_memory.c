// SPDX-License-Identifier: MIT
/*
 * pirn bench memory: what the kernel holds for a fiber that sleeps, as
 * /proc/self tells before and while many do.
 *
 *	stacks		resident bytes of the mappings the fibers lie in
 *	other		resident bytes that all other mappings have grown by
 *	page tables	VmPTE
 *
 * The control block lies at the top of the fiber's own stack, in a page that is
 * resident anyway.  How much of the page it takes is the least distance of one
 * from its page's end (they lie at different distances, so that caches hold more
 * of them), and how much the stack, the distance from a frame to the handle.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define PAGE 4096u

struct usage {
	uint64_t stacks;
	uint64_t other;
	uint64_t tables;
};

struct sleepers {
	struct bench *bench;
	unsigned int count;
	unsigned int made;
	struct pirn_fiber **fibers;
	uint64_t parked;
	uint64_t woken;
	uint64_t used;		/* bytes of the stack, all fibers together */
	uint64_t block;		/* bytes of the control block */
	bool stop;
};

/* ----------------------------------------------------------- /proc/self */

/* The value in KiB of "NAME:  N kB" in a file; 0 when it is not there. */
static uint64_t read_kib(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	unsigned long long kib = 0;
	size_t length = strlen(name);
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) == 0 && line[length] == ':') {
			sscanf(line + length + 1, "%llu", &kib);
			break;
		}
	}
	fclose(file);
	return kib;
}

/* In place (Shell's): qsort() would take memory, which would be counted. */
static void sort(uintptr_t *at, unsigned int count)
{
	unsigned int gap = count, i, j;

	while (gap > 1) {
		gap = gap < 5 ? 1 : gap * 5 / 11;
		for (i = gap; i < count; i++) {
			uintptr_t value = at[i];

			for (j = i; j >= gap && at[j - gap] > value; j -= gap)
				at[j] = at[j - gap];
			at[j] = value;
		}
	}
}

/* Whether one of the sorted addresses @at is in [from, to). */
static bool holds_one(const uintptr_t *at, unsigned int count, uintptr_t from,
		      uintptr_t to)
{
	unsigned int low = 0, high = count;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (at[middle] < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && at[low] < to;
}

/* What is resident, by whether a fiber lies in the mapping. */
static int read_usage(struct usage *usage, const uintptr_t *fibers,
		      unsigned int count)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	unsigned long long kib;
	bool stacks = false;
	char line[512];

	*usage = (struct usage){ 0 };
	if (!file) {
		complain("/proc/self/smaps: %s", strerror(errno));
		return -errno;
	}
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			stacks = holds_one(fibers, count, from, to);
		else if (sscanf(line, "Rss: %llu kB", &kib) == 1)
			*(stacks ? &usage->stacks : &usage->other) += kib << 10;
	}
	fclose(file);
	usage->tables = read_kib("/proc/self/status", "VmPTE") << 10;
	return 0;
}

/* ---------------------------------------------------------------- sleepers */

static int sleeper(void *arg)
{
	struct sleepers *s = arg;
	uintptr_t self = (uintptr_t)pirn_self();
	uint64_t above = PAGE - self % PAGE;

	if (above < s->block)
		s->block = above;
	s->used += self - (uintptr_t)__builtin_frame_address(0);
	s->parked++;
	while (!s->stop)
		pirn_park();
	s->woken++;
	return 0;
}

static int sleepers_start(struct sleepers *s)
{
	int err = 0;

	while (s->made < s->count && !err) {
		err = pirn_spawn(&s->fibers[s->made], sleeper, s);
		s->made += !err;
	}
	/* One yield, and each has parked: they are runnable before this one is. */
	pirn_yield();
	return err;
}

static void sleepers_end(struct sleepers *s)
{
	s->stop = true;
	for (unsigned int i = 0; i < s->made; i++)
		pirn_unpark(s->fibers[i]);
	for (unsigned int i = 0; i < s->made; i++)
		pirn_join(s->fibers[i], NULL);
}

/* ----------------------------------------------------------------- report */

static int add(struct sleepers *s, const char *part, double bytes)
{
	struct bench_row *row;
	char key[32], name[64];

	snprintf(key, sizeof(key), "memory/%u/%s", s->count, part);
	snprintf(name, sizeof(name), "%u asleep: %s", s->count, part);
	row = bench_row(s->bench, key, name, "bytes/fiber");
	if (!row)
		return -ENOMEM;
	row->samples = 1;
	row->spread = (struct bench_spread){ bytes, bytes, bytes };
	return 0;
}

static int report(struct sleepers *s, const struct usage *before,
		  const struct usage *during)
{
	double n = s->count;
	double stacks = (double)during->stacks / n;
	double other = ((double)during->other - (double)before->other) / n;
	double tables = ((double)during->tables - (double)before->tables) / n;
	int err = add(s, "all", stacks + other + tables);

	if (!err)
		err = add(s, "stacks", stacks);
	if (!err)
		err = add(s, "of it control block", (double)s->block);
	if (!err)
		err = add(s, "of it frames", (double)s->used / n);
	if (!err)
		err = add(s, "page tables", tables);
	if (!err)
		err = add(s, "other", other);
	return err;
}

static int measure(struct sleepers *s)
{
	struct usage before, during;
	uintptr_t *at = malloc(s->count * sizeof(*at));
	int err = -ENOMEM;

	s->fibers = malloc(s->count * sizeof(s->fibers[0]));
	if (!at || !s->fibers)
		goto free;
	/* Resident now, not while the fibers are counted. */
	memset(at, 1, s->count * sizeof(*at));
	memset(s->fibers, 1, s->count * sizeof(s->fibers[0]));
	err = read_usage(&before, NULL, 0);
	if (err)
		goto free;
	err = sleepers_start(s);
	if (err) {
		bench_note(s->bench, "%u asleep: left out, %u could be made: %s",
			   s->count, s->made, pirn_reason());
		err = 0;
		goto end;
	}
	for (unsigned int i = 0; i < s->count; i++)
		at[i] = (uintptr_t)s->fibers[i];
	sort(at, s->count);
	err = read_usage(&during, at, s->count);
	if (!err)
		err = bench_counted("fibers asleep", s->parked, s->count, 0);
	if (!err)
		err = report(s, &before, &during);
end:
	sleepers_end(s);
	if (!err && s->made == s->count)
		err = bench_counted("fibers woken", s->woken, s->count, 0);
free:
	free(s->fibers);
	free(at);
	return err;
}

static int main_fiber(void *arg)
{
	return measure(arg);
}

/* Twice what they should take is to be free: others use the machine too. */
static bool fits(struct bench *bench, unsigned int count)
{
	uint64_t want = (uint64_t)count * 2 * 5120;
	uint64_t available = read_kib("/proc/meminfo", "MemAvailable") << 10;

	if (want <= available)
		return true;
	bench_note(bench, "%u asleep: left out, wants %llu MiB available and here are %llu",
		   count, (unsigned long long)(want >> 20),
		   (unsigned long long)(available >> 20));
	return false;
}

int bench_memory(struct bench *bench)
{
	static const unsigned int counts[] = { 1000, 100000, 1000000 };
	unsigned int i, most = bench->quick ? 1 : 3;
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	int err = 0;

	opt.max_fibers = 1u << 21;
	for (i = 0; i < most && !err; i++) {
		struct sleepers s = { .bench = bench, .count = counts[i],
				      .block = PAGE };

		/* A runtime of its own: no stack is there before. */
		if (fits(bench, counts[i]))
			err = bench_run(bench, 1, &opt, main_fiber, &s);
	}
	return err;
}
