// SPDX-License-Identifier: MIT
/*
 * kmod/join_ops.h and <linux/pirn_histogram.h> against what one would write
 * without thinking of speed or of wrapping.
 */
#include <linux/types.h>
#include <stdbool.h>

#include <linux/pirn_histogram.h>

#include "helpers.h"
#include "join_ops.h"

/* -------------------------------------------------------------------- joins */

static bool plainly_valid(uint64_t nr, uint64_t threshold, __uint128_t first,
			  uint64_t results, uint64_t cq_entries)
{
	return threshold >= 1 && threshold <= nr && first + nr <= results &&
	       nr + (threshold < nr ? 2 : 1) <= cq_entries;
}

TEST(validity_near_every_limit)
{
	const uint64_t values[] = { 0, 1, 2, 3, 4, 7, 8, 9, 16383, 16384, 16385,
				    INT32_MAX, 1u << 31, UINT32_MAX - 1, UINT32_MAX };
	const uint64_t firsts[] = { 0, 1, 4, 5, 8, 9, 16383, 16384, UINT32_MAX,
				    1ull << 32, (1ull << 32) + 1, 1ull << 63,
				    UINT64_MAX - 1, UINT64_MAX };
	const uint32_t sizes[] = { 0, 1, 2, 4, 8, 9, 16384 };
	size_t n, k, f, r, c;
	unsigned int valid = 0;

	for (n = 0; n < array_size(values); n++)
	for (k = 0; k < array_size(values); k++)
	for (f = 0; f < array_size(firsts); f++)
	for (r = 0; r < array_size(sizes); r++)
	for (c = 1; c < array_size(sizes); c++) {
		bool want = plainly_valid(values[n], values[k], firsts[f],
					  sizes[r], sizes[c]);

		check_eq(!!pirn_join_valid((uint32_t)values[n], (uint32_t)values[k],
					   firsts[f], sizes[r], sizes[c]), want);
		valid += want;
	}
	check_op(valid, >, 50);
}

/* All orders of success and failure of joins up to ten members. */
static void play(uint32_t nr, uint32_t threshold, uint32_t fate)
{
	struct pirn_join_state join;
	uint32_t i, ok = 0, bad = 0, flags, told = 0, released = 0;
	bool decided;

	pirn_join_begin(&join, nr, threshold);
	check_eq(join.entries, threshold == nr ? 1 : 2);
	for (i = 0; i < nr; i++) {
		fate >> i & 1 ? ok++ : bad++;
		flags = pirn_join_settle(&join, fate >> i & 1);
		check_eq(join.succeeded, ok);
		decided = ok >= threshold || bad > nr - threshold;
		if (threshold == nr)
			decided = i + 1 == nr;
		/* told as soon as it is decided, and once */
		check_eq(!!(flags & PIRN_CQE_THRESHOLD),
			 decided && !(told & PIRN_CQE_THRESHOLD));
		check_eq(!!(flags & PIRN_CQE_DRAINED), i + 1 == nr);
		told |= flags;
		if (flags)
			released += pirn_join_release(&join, flags);
	}
	check_eq(told, PIRN_CQE_THRESHOLD | PIRN_CQE_DRAINED);
	check_eq(join.entries, 0);
	check_eq(released, threshold == nr ? 1 : 2);
}

TEST(every_order_of_ends)
{
	uint32_t nr, threshold, fate;

	for (nr = 1; nr <= 10; nr++)
		for (threshold = 1; threshold <= nr; threshold++)
			for (fate = 0; fate < 1u << nr; fate++)
				play(nr, threshold, fate);
}

/* -------------------------------------------------------------- histograms */

TEST(each_bucket_begins_where_the_last_one_ended)
{
	uint64_t start, next;
	uint32_t bucket;

	check_eq(pirn_histogram_start(0), 0);
	for (bucket = 0; bucket < PIRN_HISTOGRAM_BUCKETS; bucket++) {
		start = pirn_histogram_start(bucket);
		next = pirn_histogram_start(bucket + 1);
		check_op(next - 1, >=, start);
		check_eq(pirn_histogram_bucket(start), bucket);
		check_eq(pirn_histogram_bucket(next - 1), bucket);
		/* no wider than an eighth of what it counts */
		check_op((next - start) * PIRN_HISTOGRAM_PARTS, <=,
			 start < PIRN_HISTOGRAM_PARTS ? PIRN_HISTOGRAM_PARTS : start);
	}
	check_eq(pirn_histogram_start(PIRN_HISTOGRAM_BUCKETS), 0);
	check_eq(pirn_histogram_bucket(UINT64_MAX), PIRN_HISTOGRAM_BUCKETS - 1);
}

TEST(random_times_fall_where_they_belong)
{
	struct rng rng = { 9 };
	uint32_t i, bucket;
	uint64_t ns;

	for (i = 0; i < 1000000; i++) {
		ns = rng_next(&rng) >> rng_below(&rng, 64);
		bucket = pirn_histogram_bucket(ns);
		check_op(bucket, <, PIRN_HISTOGRAM_BUCKETS);
		check_op(ns, >=, pirn_histogram_start(bucket));
		check_op(ns, <=, pirn_histogram_start(bucket + 1) - 1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validity_near_every_limit),
		cmocka_unit_test(every_order_of_ends),
		cmocka_unit_test(each_bucket_begins_where_the_last_one_ended),
		cmocka_unit_test(random_times_fall_where_they_belong),
	};

	return run_program(argc, argv, "join_ops", tests, array_size(tests));
}
