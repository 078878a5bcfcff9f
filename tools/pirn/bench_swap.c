// SPDX-License-Identifier: MIT
/*
 * pirn bench: the yardstick of what happens on one core, two stacks that swap
 * registers (swap_x86_64.S).
 *
 * A switch ends in a jump to where the other side called it.  With two such
 * places the processor guesses right or wrong as the layout of this program
 * happens to be, 7 ns apart on a Zen 4; so each side calls from the same place,
 * here and in bench_switch.c, and what is measured is a switch that is predicted.
 */
#include <string.h>

#include "bench.h"

/* swap_x86_64.S, swap_aarch64.S */
void bench_swap(void **save, void *load);

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

void bench_swap_start(void)
{
	void **top = (void **)(swap.stack + sizeof(swap.stack));

#if defined(__x86_64__)
	/*
	 * Six registers and an entry.  A function is entered as if by a call,
	 * with the stack 8 past a multiple of 16.
	 */
	*--top = NULL;
	*--top = (void *)swap_partner;
	memset(top - 6, 0, 6 * sizeof(*top));
	swap.there = top - 6;
#else
	/* Nineteen registers, then x30. */
	*--top = (void *)swap_partner;
	memset(top - 19, 0, 19 * sizeof(*top));
	swap.there = top - 19;
#endif
}

/* A round is there and back: two switches. */
uint64_t bench_swap_run(void *arg, uint64_t rounds)
{
	uint64_t from = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	(void)arg;
	swap_loop(&swap.here, &swap.there, rounds);
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - from;
}
