// SPDX-License-Identifier: MIT
/* IO memory: alignment, exhaustion and coalescing, what free refuses. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "helpers.h"

#define POOL (4 * MiB)

static int on_pool(int (*fn)(void *arg))
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = POOL;
	return run_on(&opt, fn, NULL);
}

static size_t power_at_least(size_t bytes)
{
	size_t power = 4096;

	while (power < bytes)
		power *= 2;
	return power < 2 * MiB ? power : 2 * MiB;
}

static int alignment(void *arg)
{
	const size_t sizes[] = { 1, 8, 512, 4095, 4096, 4097, 5000, 8192, 12288,
				 65535, 65536, 65537, MiB - 1, MiB, MiB + 1,
				 2 * MiB };
	size_t i;
	char *buf;

	(void)arg;
	for (i = 0; i < array_size(sizes); i++) {
		buf = pirn_buf_alloc(sizes[i]);
		check(buf);
		check_eq((uintptr_t)buf % power_at_least(sizes[i]), 0);
		/* all of it is there */
		fill(buf, sizes[i], 0, i);
		check_filled(buf, sizes[i], 0, i);
		check_eq(pirn_buf_free(buf), 0);
	}
	return 0;
}

TEST(buffers_are_aligned_to_their_size)
{
	on_pool(alignment);
}

static int no_such_size(void *arg)
{
	(void)arg;
	check(!pirn_buf_alloc(POOL + 1));
	check_op(strlen(pirn_reason()), >, 5);
	check(!pirn_buf_alloc(1ull << 40));
	check(!pirn_buf_alloc(1ull << 63));
	check(!pirn_buf_alloc((1ull << 63) + 1));
	check(!pirn_buf_alloc(SIZE_MAX));
	check(!pirn_buf_alloc(SIZE_MAX - 4095));
	check_eq(pirn_buf_free(pirn_buf_alloc(0)), 0);
	check_eq(pirn_buf_free(NULL), 0);
	return 0;
}

TEST(impossible_sizes_give_null)
{
	on_pool(no_such_size);
}

/* How many pieces of @bytes there are; leaves none of them allocated. */
static size_t take_all(size_t bytes, char **buf)
{
	size_t i, n = 0;

	while ((buf[n] = pirn_buf_alloc(bytes)))
		n++;
	check_op(strlen(pirn_reason()), >, 5);
	/* nothing overlaps: each piece holds its own pattern when all are full */
	for (i = 0; i < n; i++)
		fill(buf[i], bytes, i * bytes, bytes);
	for (i = 0; i < n; i++)
		check_filled(buf[i], bytes, i * bytes, bytes);
	return n;
}

static void shuffle(char **buf, size_t n, struct rng *rng)
{
	char *swap;
	size_t i, j;

	for (i = n; i > 1; i--) {
		j = rng_below(rng, i);
		swap = buf[i - 1];
		buf[i - 1] = buf[j];
		buf[j] = swap;
	}
}

static int exhaust(void *arg)
{
	static const size_t sizes[] = { 4096, 2 * MiB, 65536, 4096, 12288, 2 * MiB,
					MiB, 4096, 2 * MiB };
	char **buf = calloc(POOL / 4096 + 1, sizeof(*buf));
	struct rng rng = { 7 };
	size_t i, j, n;

	(void)arg;
	check(buf);
	for (i = 0; i < array_size(sizes); i++) {
		n = take_all(sizes[i], buf);
		/* all of the pool, in whatever order the pieces came back */
		check_eq(n, POOL / power_at_least(sizes[i]));
		shuffle(buf, n, &rng);
		for (j = 0; j < n; j++)
			check_eq(pirn_buf_free(buf[j]), 0);
	}
	free(buf);
	return 0;
}

TEST(freed_pieces_join_to_larger_ones)
{
	on_pool(exhaust);
}

#define LIVE 64

/* Random sizes come and go; whoever is live keeps its contents. */
static int churn(void *arg)
{
	struct live {
		char *buf;
		size_t bytes;
		uint64_t seed;
	} live[LIVE] = { { NULL, 0, 0 } }, *l;
	struct rng rng = { 8 };
	unsigned int i;

	(void)arg;
	for (i = 0; i < scaled(20000, 1500); i++) {
		l = &live[rng_below(&rng, LIVE)];
		if (l->buf) {
			check_filled(l->buf, l->bytes, 0, l->seed);
			check_eq(pirn_buf_free(l->buf), 0);
			l->buf = NULL;
			continue;
		}
		l->bytes = 1 + rng_below(&rng, 1u << (4 + rng_below(&rng, 14)));
		l->seed = i;
		l->buf = pirn_buf_alloc(l->bytes);
		if (l->buf)
			fill(l->buf, l->bytes, 0, l->seed);
	}
	for (i = 0; i < LIVE; i++) {
		if (!live[i].buf)
			continue;
		check_filled(live[i].buf, live[i].bytes, 0, live[i].seed);
		check_eq(pirn_buf_free(live[i].buf), 0);
	}
	/* and all of it is one again */
	l = &live[0];
	l->buf = pirn_buf_alloc(POOL);
	check(l->buf);
	check_eq(pirn_buf_free(l->buf), 0);
	return 0;
}

TEST(live_buffers_keep_their_contents)
{
	on_pool(churn);
}

static int bad_frees(void *arg)
{
	char here[64], *heap = malloc(8192), *a, *b, *c;

	(void)arg;
	a = pirn_buf_alloc(65536);
	b = pirn_buf_alloc(65536);
	c = pirn_buf_alloc(4096);
	check(a && b && c);
	check_eq(pirn_buf_free(here), -EFAULT);
	check_op(strlen(pirn_reason()), >, 5);
	check_eq(pirn_buf_free(heap), -EFAULT);
	check_eq(pirn_buf_free((void *)1), -EFAULT);
	check_eq(pirn_buf_free((void *)UINTPTR_MAX), -EFAULT);
	check_eq(pirn_buf_free(a + 1), -EFAULT);
	check_eq(pirn_buf_free(a + 4096), -EFAULT);
	check_eq(pirn_buf_free(a + 65535), -EFAULT);
	check_eq(pirn_buf_free(a), 0);
	check_eq(pirn_buf_free(a), -EFAULT);
	check_eq(pirn_buf_free(a + 4096), -EFAULT);
	/* freed and joined with its neighbours, a piece is still free */
	check_eq(pirn_buf_free(b), 0);
	check_eq(pirn_buf_free(c), 0);
	check_eq(pirn_buf_free(b), -EFAULT);
	check_eq(pirn_buf_free(a), -EFAULT);
	check_eq(pirn_buf_free(c), -EFAULT);
	a = pirn_buf_alloc(POOL);
	check(a);
	check_eq(pirn_buf_free(a + POOL / 2), -EFAULT);
	check_eq(pirn_buf_free(a + POOL), -EFAULT);
	check_eq(pirn_buf_free(a - 4096), -EFAULT);
	check_eq(pirn_buf_free(a), 0);
	free(heap);
	return 0;
}

TEST(only_live_buffers_can_be_freed)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char cpu[16];

	/* one core: what lies around its pool is nobody else's pool */
	opt.pool_bytes = POOL;
	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	opt.cpus = cpu;
	run_on(&opt, bad_frees, NULL);
}

struct buffers {
	char *buf[POOL / MiB];
};

static int take_there(void *arg)
{
	struct buffers *b = arg;
	unsigned int i;

	for (i = 0; i < POOL / MiB; i++) {
		b->buf[i] = pirn_buf_alloc(MiB);
		check(b->buf[i]);
		fill(b->buf[i], MiB, i, 99);
	}
	check(!pirn_buf_alloc(1));
	return 0;
}

/* Each core has its own pool; what comes back goes to where it came from. */
static int free_elsewhere(void *arg)
{
	struct buffers here, there;
	unsigned int i, round;

	(void)arg;
	for (round = 0; round < 3; round++) {
		take_there(&here);
		check_eq(pirn_call(1, take_there, &there, NULL), 0);
		for (i = 0; i < POOL / MiB; i++) {
			check_filled(here.buf[i], MiB, i, 99);
			check_filled(there.buf[i], MiB, i, 99);
			check_eq(pirn_buf_free(there.buf[i]), 0);
			check_eq(pirn_buf_free(there.buf[i]), -EFAULT);
		}
		check(!pirn_buf_alloc(1));
		for (i = 0; i < POOL / MiB; i++)
			check_eq(pirn_buf_free(here.buf[i]), 0);
	}
	return 0;
}

TEST(a_buffer_freed_elsewhere_goes_home)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = POOL;
	run_on_cores(&opt, free_elsewhere, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_aligned_to_their_size),
		cmocka_unit_test(impossible_sizes_give_null),
		cmocka_unit_test(freed_pieces_join_to_larger_ones),
		cmocka_unit_test(live_buffers_keep_their_contents),
		cmocka_unit_test(only_live_buffers_can_be_freed),
		cmocka_unit_test(a_buffer_freed_elsewhere_goes_home),
	};

	return run_program(argc, argv, "buffer", tests, array_size(tests));
}
