// SPDX-License-Identifier: MIT
/*
 * pirn bench switch: what it costs a fiber to let another run, beside a bare
 * register swap (bench_swap.c).
 *
 * With many fibers it is the memory that counts: each switch touches the lines
 * of another stack, on a page of its own.  The second yardstick is that much and
 * no more: a load from each of as many pages, laid out as the stacks are, each
 * at the address that the one before held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

/* ------------------------------------------------------------------ chase */

/* As the library's stacks: 256 KiB, a guard of 64 KiB, one of 16 colours. */
#define STRIDE		(320u << 10)
#define COLOURS		16u
#define LINE		64u

struct chase {
	unsigned int pages;
	char *base;
	void **at;
};

static int chase_start(struct chase *chase, unsigned int pages)
{
	size_t bytes = (size_t)pages * STRIDE;
	void **first = NULL, **last = NULL;

	chase->pages = pages;
	chase->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chase->base == MAP_FAILED)
		return -errno;
	madvise(chase->base, bytes, MADV_NOHUGEPAGE);
	for (unsigned int i = 0; i < pages; i++) {
		void **line = (void **)(chase->base + (size_t)(i + 1) * STRIDE -
					(i % COLOURS + 1) * LINE);

		if (last)
			*last = line;
		else
			first = line;
		last = line;
	}
	*last = first;
	chase->at = first;
	return 0;
}

static uint64_t chase_run(void *arg, uint64_t rounds)
{
	struct chase *chase = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);
	void **at = chase->at;

	for (uint64_t left = rounds * chase->pages; left; left--)
		at = *(void *volatile *)at;
	chase->at = at;
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static void chase_end(struct chase *chase)
{
	munmap(chase->base, (size_t)chase->pages * STRIDE);
}

/* ------------------------------------------------------------------- ring */

/* Fibers that yield to each other; the one that measures is one of them. */
struct ring {
	unsigned int fibers;
	unsigned int made;
	struct pirn_fiber **others;
	bool stop;
	uint64_t yields;	/* of the others; each adds its own at its end */
	uint64_t expected;
};

static uint64_t __attribute__((noinline))
yield_loop(const struct ring *ring, uint64_t rounds)
{
	uint64_t n;

	for (n = 0; n < rounds && !ring->stop; n++)
		pirn_yield();
	return n;
}

static int other_fiber(void *arg)
{
	struct ring *ring = arg;
	uint64_t n = yield_loop(ring, UINT64_MAX);

	ring->yields += n;
	return 0;
}

static int ring_start(struct ring *ring, unsigned int fibers)
{
	int err = 0;

	*ring = (struct ring){ .fibers = fibers };
	ring->others = calloc(fibers, sizeof(ring->others[0]));
	if (!ring->others)
		return -ENOMEM;
	while (ring->made < fibers - 1 && !err) {
		err = pirn_spawn(&ring->others[ring->made], other_fiber, ring);
		ring->made += !err;
	}
	/* Let each get as far as its first yield. */
	pirn_yield();
	return err;
}

/*
 * A yield lets every other runnable fiber run first, so one round is as many
 * switches as there are fibers.
 */
static uint64_t ring_run(void *arg, uint64_t rounds)
{
	struct ring *ring = arg;
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	ring->expected += rounds * (ring->fibers - 1);
	yield_loop(ring, rounds);
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static void ring_end(struct ring *ring)
{
	ring->stop = true;
	for (unsigned int i = 0; i < ring->made; i++)
		pirn_join(ring->others[i], NULL);
	free(ring->others);
}

/* ----------------------------------------------------------------- running */

struct shape {
	const char *key;
	const char *name;
	const char *chase_name;
	unsigned int fibers;
	double goal;
};

static const struct shape shapes[] = {
	{ "switch/2", "yield, 2 fibers", NULL, 2, 2 },
	{ "switch/1000", "yield, 1,000 fibers", "load from 1,000 pages", 1000, 4 },
	{ "switch/100000", "yield, 100,000 fibers", "load from 100,000 pages",
	  100000, 30 },
};

static int measure(struct bench *bench, const struct shape *shape,
		   struct ring *ring)
{
	struct chase chase = { 0 };
	struct bench_work works[] = {
		{ .key = shape->key, .name = shape->name, .unit = "ns/switch",
		  .run = ring_run, .arg = ring, .units = shape->fibers,
		  .beside = { 1, shape->chase_name ? 2 : BENCH_NONE },
		  .goal = shape->goal },
		BENCH_SWAP_WORK,
		{ .name = shape->chase_name, .run = chase_run, .arg = &chase,
		  .units = shape->fibers, .beside = { BENCH_NONE, BENCH_NONE },
		  .hidden = true },
	};
	int err;

	if (!shape->chase_name)
		return bench_measure(bench, BENCH_ONE_CORE, works, 2);
	err = chase_start(&chase, shape->fibers);
	if (err) {
		complain("memory for a yardstick: %s", strerror(-err));
		return err;
	}
	err = bench_measure(bench, BENCH_ONE_CORE, works, 3);
	chase_end(&chase);
	return err;
}

static int run_shape(struct bench *bench, const struct shape *shape)
{
	struct ring ring;
	int err = ring_start(&ring, shape->fibers);

	if (err) {
		/* More stacks than this machine gives one process. */
		bench_note(bench, "%s: left out, only %u could be made: %s",
			   shape->name, ring.made + 1, pirn_reason());
		ring_end(&ring);
		return ring.others ? 0 : err;
	}
	err = measure(bench, shape, &ring);
	ring_end(&ring);
	if (err)
		return err;
	return bench_counted("yields", ring.yields, ring.expected,
			     4ull * ring.fibers);
}

static int main_fiber(void *arg)
{
	size_t count = sizeof(shapes) / sizeof(shapes[0]);
	struct bench *bench = arg;
	int err = 0;

	if (bench->quick)
		count--;
	bench_swap_start();
	for (size_t i = 0; i < count && !err; i++)
		err = run_shape(bench, &shapes[i]);
	return err;
}

int bench_switch(struct bench *bench)
{
	return bench_run(bench, 1, NULL, main_fiber, bench);
}
