/* SPDX-License-Identifier: MIT */
/* Fibers that each make one call which parks, and how it went. */
#ifndef PIRN_TESTS_WAITER_H
#define PIRN_TESTS_WAITER_H

#include <errno.h>
#include <stdlib.h>

#include <pirn/fifo.h>
#include <pirn/sync.h>

#include "helpers.h"
#include "lib.h"

#define WAITS 12345	/* no call returns that */
#define MS 1000000ull

struct waiter {
	int (*call)(void *arg);
	void *arg;
	struct pirn_fiber *fiber;
	int result;		/* WAITS: it has not returned */
	unsigned int place;	/* in the order of returning, 1 up */
};

static unsigned int waiter_places;

static inline int waiter_run(void *arg)
{
	struct waiter *w = arg;

	w->result = w->call(w->arg);
	w->place = ++waiter_places;
	return 0;
}

/* Lets everything that can run do so until it parks. */
static inline void settle(void)
{
	for (int i = 0; i < 10; i++)
		check_eq(pirn_yield(), 0);
}

/* It has made its call when this returns. */
static inline void waiter_start(struct waiter *w, int (*call)(void *arg),
				void *arg)
{
	*w = (struct waiter){ .call = call, .arg = arg, .result = WAITS };
	check_eq(pirn_spawn(&w->fiber, waiter_run, w), 0);
	settle();
}

/* What its call returned. */
static inline int waiter_end(struct waiter *w)
{
	check_eq(pirn_join(w->fiber, NULL), 0);
	return w->result;
}

/* As the end of its scope, or its deadline, would: at any moment. */
static inline void waiter_break(struct waiter *w, int error)
{
	pirn_wait_break(pirn_this_core, w->fiber, error);
}

/* Without letting any other fiber, or the reactor, run. */
static inline void pass_time_until(uint64_t deadline)
{
	while (clock_ns() <= deadline)
		;
}

#endif /* PIRN_TESTS_WAITER_H */
