/* SPDX-License-Identifier: MIT */
/* A process with IO in flight at each moment, made to be killed. */
#ifndef PIRN_TESTS_DYING_H
#define PIRN_TESTS_DYING_H

#include "device.h"

/* Never ends by itself: IO in flight at each moment, some of it punted. */
static inline void die_slowly(const char *path, uint64_t seed, int ready)
{
	struct rng rng = { seed };
	struct pirn_sqe sqe;
	struct rig rig;
	char page[4096];
	int cached;

	rig_open(&rig, 32, 64 * KiB, path);
	cached = must(open(path, O_RDWR));
	check_eq(write(ready, "", 1), 1);
	for (;;) {
		while (rig.ch.sq_tail - rig.ch.ring->sq_head < 32) {
			sqe = io_sqe(1 + (int)rng_below(&rng, 2),
				     4096 * rng_below(&rng, 1000),
				     4096 * rng_below(&rng, 16), 4096);
			if (rng_below(&rng, 20) == 0)
				sqe = io_sqe(PIRN_OP_FSYNC, 0, 0, 0);
			*next_sqe(&rig.ch) = sqe;
		}
		if (rng_below(&rng, 10) == 0)
			check_eq(pread(cached, page, 4096,
				       (off_t)(4096 * rng_below(&rng, 1000))), 4096);
		must(enter(&rig.ch, (rig.ch.sq_tail - rig.ch.ring->sq_head) |
			   (rng_below(&rng, 2) ? PIRN_ENTER_WAIT : 0)));
		while (cq_ready(&rig.ch))
			check_op(take_cqe(&rig.ch).res, >=, 0);
	}
}

static inline pid_t start_dying(const char *path, uint64_t seed)
{
	int ready[2];
	char byte;
	pid_t pid;

	must(pipe(ready));
	pid = must(fork());
	if (!pid)
		die_slowly(path, seed, ready[1]);
	close(ready[1]);
	check_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

#endif /* PIRN_TESTS_DYING_H */
