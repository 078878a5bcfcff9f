/* SPDX-License-Identifier: MIT */
/*
 * pirn bench io: the loops beside the library, and what they share: a thread on
 * each CPU that the library ran on, its buffers and its descriptor.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <pthread.h>

#include "bench_io.h"

/*
 * At most so many reads are reaped, and so submitted, in one go, though more may
 * be there: what the block layer's plug takes (BLK_MAX_REQUEST_COUNT).  A
 * submission beyond it costs 7 % more, and the next time finds the rest at once.
 */
#define LOOP_PLUG 32u

struct loop_thread {
	const struct io_bench *bench;
	enum io_loop kind;
	int cpu;
	pthread_t thread;
	struct io_core *core;
	int fd;
	char *memory;		/* a buffer a slot */
	uint64_t enters;
	int err;
};

/*
 * Each runs its thread's reads: 0; -EINVAL: this kernel has no such thing; other
 * errnos: complained.
 */
int loop_uring(struct loop_thread *t);		/* bench_uring_loop.c */
int loop_aio(struct loop_thread *t);		/* bench_aio_loop.c */

static inline char *loop_buffer(const struct loop_thread *t, uint32_t slot)
{
	return t->memory + (size_t)slot * t->bench->bytes;
}

/* How many completions to wait for: never more than will come. */
static inline uint32_t loop_wanted(const struct loop_thread *t)
{
	uint64_t left = t->core->limit - t->core->done;

	return left < t->bench->batch ? (uint32_t)left : t->bench->batch;
}

static inline uint32_t loop_most(const struct loop_thread *t)
{
	return t->bench->batch > LOOP_PLUG ? t->bench->batch : LOOP_PLUG;
}

int loop_complain_short(const struct loop_thread *t, long res);
void loop_mark(struct loop_thread *t);

/* A read has ended with @res.  1: the next may follow it; 0; or an errno. */
static inline int loop_ended(struct loop_thread *t, long res)
{
	struct io_core *core = t->core;

	if (__builtin_expect(res != (long)t->bench->bytes, 0))
		return loop_complain_short(t, res);
	if (++core->done == core->next_mark)
		loop_mark(t);
	return core->issued < core->limit && !t->bench->bench->io.join;
}

/* With --join: all have ended, and there are more to come. */
static inline bool loop_round_over(const struct loop_thread *t)
{
	const struct io_core *core = t->core;

	return t->bench->bench->io.join && core->done == core->issued &&
	       core->done < core->limit;
}

#endif /* BENCH_LOOP_H */
