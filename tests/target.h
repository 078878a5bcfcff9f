/* SPDX-License-Identifier: MIT */
/* For the tests that read and write the target by the library. */
#ifndef PIRN_TESTS_TARGET_H
#define PIRN_TESTS_TARGET_H

#include <fcntl.h>

#include "helpers.h"

__attribute__((warn_unused_result))
static inline struct pirn_file *open_target(void)
{
	struct pirn_file *file;

	check_eq(pirn_open(&file, test_target()->path, O_RDWR, 0), 0);
	return file;
}

static inline struct pirn_core_stats stats_now(void)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };

	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.size, sizeof(stats));
	return stats;
}

/* How many buffers of so many bytes the pool has left, and has again afterwards. */
static inline unsigned int room(size_t bytes)
{
	static void *bufs[4096];
	unsigned int n = 0, i;

	while ((bufs[n] = pirn_buf_alloc(bytes)))
		check_op(++n, <, array_size(bufs));
	for (i = 0; i < n; i++)
		check_eq(pirn_buf_free(bufs[i]), 0);
	return n;
}

#endif /* PIRN_TESTS_TARGET_H */
