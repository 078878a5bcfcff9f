// SPDX-License-Identifier: MIT
/*
 * pirn bench switch: what it costs a fiber to let another run, beside a bare
 * register swap.  All of it runs on one core in thread CPU time, so that
 * neither other programs nor the host's scheduler count.
 *
 * A switch ends in a jump to where the other side called it.  With two such
 * places the processor guesses right or wrong as the layout of this program
 * happens to be, 7 ns apart on a Zen 4; so each side of a measurement calls
 * from the same place, and what is measured is a switch that is predicted.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define REPETITIONS	11
#define REPETITION_NS	50000000ull
#define MANY		1000u

/* swap_x86_64.S */
void bench_swap(void **save, void *load);

/* ------------------------------------------------------------- yardstick */

/* The two stacks that swap; one thread at a time. */
static struct {
	void *here;
	void *there;
	_Alignas(16) char stack[16384];
} swap;

static void __attribute__((noinline))
swap_loop(void **save, void *const *load, uint64_t rounds)
{
	while (rounds--)
		bench_swap(save, *load);
}

static void __attribute__((noreturn)) swap_partner(void)
{
	for (;;)
		swap_loop(&swap.there, &swap.here, UINT64_MAX);
}

static void swap_start(void)
{
	void **top = (void **)(swap.stack + sizeof(swap.stack));

	/*
	 * Six registers and an entry.  A function is entered as if by a call,
	 * with the stack 8 past a multiple of 16.
	 */
	*--top = NULL;
	*--top = (void *)swap_partner;
	memset(top - 6, 0, 6 * sizeof(*top));
	swap.there = top - 6;
}

/* @rounds of there and back: two switches each. */
static uint64_t swap_rounds(uint64_t rounds)
{
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	swap_loop(&swap.here, &swap.there, rounds);
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static double swap_sample(uint64_t rounds)
{
	return (double)swap_rounds(rounds) / (double)(2 * rounds);
}

/* --------------------------------------------------------------- subject */

/* Fibers that yield to each other; the one that measures is one of them. */
struct ring {
	unsigned int fibers;
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
	unsigned int i;
	int err;

	*ring = (struct ring){ .fibers = fibers };
	ring->others = calloc(fibers, sizeof(ring->others[0]));
	if (!ring->others)
		return -ENOMEM;
	for (i = 0; i < fibers - 1; i++) {
		err = pirn_spawn(&ring->others[i], other_fiber, ring);
		if (err < 0) {
			complain("starting fiber %u: %s", i, pirn_reason());
			return err;
		}
	}
	/* Let each get as far as its first yield. */
	pirn_yield();
	return 0;
}

/*
 * A yield lets every other runnable fiber run first, so one round is as many
 * switches as there are fibers.
 */
static uint64_t ring_rounds(struct ring *ring, uint64_t rounds)
{
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	ring->expected += rounds * (ring->fibers - 1);
	yield_loop(ring, rounds);
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}

static double ring_sample(struct ring *ring, uint64_t rounds)
{
	return (double)ring_rounds(ring, rounds) /
	       (double)(rounds * ring->fibers);
}

/* Whether as many switches took place as the figures were divided by. */
static int ring_end(struct ring *ring)
{
	uint64_t slack = 4ull * ring->fibers;
	unsigned int i;

	ring->stop = true;
	for (i = 0; i < ring->fibers - 1; i++)
		pirn_join(ring->others[i], NULL);
	free(ring->others);
	if (ring->yields + slack >= ring->expected &&
	    ring->yields <= ring->expected + slack)
		return 0;
	complain("counted %llu yields where %llu were expected: the figures are wrong",
		 (unsigned long long)ring->yields,
		 (unsigned long long)ring->expected);
	return -EIO;
}

/* --------------------------------------------------------------- running */

/* How many rounds take about REPETITION_NS. */
static uint64_t calibrate(struct ring *ring)
{
	uint64_t ns, rounds = 64;

	for (;;) {
		ns = ring ? ring_rounds(ring, rounds) : swap_rounds(rounds);
		if (ns > REPETITION_NS / 8)
			break;
		rounds *= 2;
	}
	return rounds * REPETITION_NS / ns + 1;
}

static void print_row(const char *name, double *samples, double yardstick)
{
	struct bench_spread s = bench_spread(samples, REPETITIONS);

	printf("%-24s %8.2f %8.2f %8.2f", name, s.least, s.median, s.most);
	if (yardstick)
		printf(" %8.2f", s.median / yardstick);
	putchar('\n');
}

static int measure(unsigned int fibers, double *yield, double *bare)
{
	uint64_t yields, swaps;
	struct ring ring;
	unsigned int i;
	int err;

	err = ring_start(&ring, fibers);
	if (err)
		return err;
	yields = calibrate(&ring);
	swaps = calibrate(NULL);
	for (i = 0; i < REPETITIONS; i++) {
		bare[i] = swap_sample(swaps);
		yield[i] = ring_sample(&ring, yields);
	}
	return ring_end(&ring);
}

static int main_fiber(void *arg)
{
	double bare[REPETITIONS], yield[REPETITIONS], many[REPETITIONS];
	double bare_many[REPETITIONS], yardstick;

	(void)arg;
	swap_start();
	if (measure(2, yield, bare) < 0 || measure(MANY, many, bare_many) < 0)
		return EXIT_FAILED;
	printf("ns per switch, thread CPU time, %d repetitions of %llu ms on CPU %d\n",
	       REPETITIONS, REPETITION_NS / 1000000, pirn_core_cpu(0));
	printf("%-24s %8s %8s %8s %8s\n", "", "min", "median", "max", "ratio");
	yardstick = bench_spread(bare, REPETITIONS).median;
	print_row("bare swap", bare, 0);
	print_row("pirn_yield, 2 fibers", yield, yardstick);
	yardstick = bench_spread(bare_many, REPETITIONS).median;
	print_row("bare swap, again", bare_many, 0);
	print_row("pirn_yield, 1,000", many, yardstick);
	return 0;
}

enum {
	OPT_CPU = 256
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **cpu = state->input;

	if (key == ARGP_KEY_ARG)
		args_bad("takes no arguments, and got '%s'", arg);
	if (key != OPT_CPU)
		return ARGP_ERR_UNKNOWN;
	args_number("cpu", arg, 0, 1 << 20);
	*cpu = arg;
	return 0;
}

int bench_switch_command(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "cpu", OPT_CPU, "N", 0, "CPU to run on (where it is started)", 0 },
		{ NULL, 0, NULL, 0, NULL, 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Two fibers, then 1,000, yield to each other on one core. "
		       "Yardstick: two stacks swapping the six callee-saved "
		       "registers and nothing else.",
	};
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256] = "", here[16];
	int err, status = EXIT_FAILED;

	snprintf(here, sizeof(here), "%d", sched_getcpu());
	opt.cpus = here;
	args_parse(&argp, argc, argv, 0, &opt.cpus);
	opt.message = message;
	opt.message_bytes = sizeof(message);
	err = pirn_run(&opt, main_fiber, NULL, &status);
	if (err < 0)
		complain("%s", message[0] ? message : strerror(-err));
	return err < 0 ? EXIT_FAILED : status;
}
