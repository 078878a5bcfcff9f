// SPDX-License-Identifier: MIT
/*
 * pirn bench: the yardsticks of what passes between two cores.  They run on the
 * threads of the cores themselves, so on the same CPUs as what they are beside:
 * core 1's is lent to them by a call whose function does not come back before
 * the yardstick is through.
 */
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

struct loan {
	struct bench_pair *pair;
	uint64_t rounds;
	_Atomic bool there;
	int err;
};

static int loan_function(void *arg)
{
	struct loan *loan = arg;

	atomic_store(&loan->there, true);
	loan->pair->there(loan->pair->arg, loan->rounds);
	return 0;
}

static int loan_fiber(void *arg)
{
	struct loan *loan = arg;

	loan->err = pirn_call(1, loan_function, loan, NULL);
	/* Nobody comes: the other side must not wait for it. */
	atomic_store(&loan->there, true);
	return loan->err;
}

uint64_t bench_pair_run(void *arg, uint64_t rounds)
{
	struct bench_pair *pair = arg;
	struct loan loan = { .pair = pair, .rounds = rounds };
	struct pirn_fiber *fiber;
	uint64_t ns = 0;

	if (pirn_spawn(&fiber, loan_fiber, &loan))
		return 0;
	/* The call leaves at the end of a turn. */
	while (!atomic_load(&loan.there))
		pirn_sleep(1000);
	if (!loan.err) {
		uint64_t from = bench_clock(CLOCK_MONOTONIC);

		pair->here(pair->arg, rounds);
		ns = bench_clock(CLOCK_MONOTONIC) - from;
	}
	pirn_join(fiber, NULL);
	return ns;
}

/*
 * Each side stores the round's number in its own word and waits for it in the
 * other's.  Two lines apart, because processors fetch lines in pairs.
 */
static struct {
	_Alignas(128) _Atomic uint32_t here;
	_Alignas(128) _Atomic uint32_t there;
} words;

/* ---------------------------------------------------------- two cache lines */

static void pingpong_here(void *arg, uint64_t rounds)
{
	uint32_t n = atomic_load(&words.here);

	(void)arg;
	while (rounds--) {
		atomic_store_explicit(&words.here, ++n, memory_order_release);
		while (atomic_load_explicit(&words.there,
					    memory_order_acquire) != n)
			;
	}
}

static void pingpong_there(void *arg, uint64_t rounds)
{
	uint32_t n = atomic_load(&words.there);

	(void)arg;
	while (rounds--) {
		n++;
		while (atomic_load_explicit(&words.here,
					    memory_order_acquire) != n)
			;
		atomic_store_explicit(&words.there, n, memory_order_release);
	}
}

struct bench_pair bench_pingpong = { pingpong_here, pingpong_there, NULL };

/* ------------------------------------------------------------------ futexes */

/* Sleeps until *word is @n; @n - 1 is what it was. */
static void await(_Atomic uint32_t *word, uint32_t n)
{
	while (atomic_load_explicit(word, memory_order_acquire) != n)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, n - 1, NULL, NULL, 0);
}

static void tell(_Atomic uint32_t *word, uint32_t n)
{
	atomic_store_explicit(word, n, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_here(void *arg, uint64_t rounds)
{
	uint32_t n = atomic_load(&words.here);

	(void)arg;
	while (rounds--) {
		tell(&words.here, ++n);
		await(&words.there, n);
	}
}

static void futex_there(void *arg, uint64_t rounds)
{
	uint32_t n = atomic_load(&words.there);

	(void)arg;
	while (rounds--) {
		await(&words.here, ++n);
		tell(&words.there, n);
	}
}

struct bench_pair bench_futex = { futex_here, futex_there, NULL };
