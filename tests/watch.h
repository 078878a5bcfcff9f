/* SPDX-License-Identifier: MIT */
/* ENTER that watches another fd, and what happens to an fd on another thread. */
#ifndef PIRN_TESTS_WATCH_H
#define PIRN_TESTS_WATCH_H

#include <pthread.h>

#include "device.h"

#define MS 1000000ull

static inline void notify(const struct channel *ch)
{
	must(ioctl(ch->fd, PIRN_IOC_NOTIFY, 0));
}

static inline int submit_watching(struct channel *ch, uint32_t count, int fd,
			   uint64_t deadline)
{
	struct pirn_enter arg = {
		.size = sizeof(arg), .flags = PIRN_ENTER_WAIT | PIRN_ENTER_WATCH,
		.to_submit = count, .watch = fd, .deadline = deadline,
	};

	return ioctl(ch->fd, PIRN_IOC_ENTER_UNTIL, &arg);
}

static inline int watch(struct channel *ch, int fd, uint64_t deadline)
{
	return submit_watching(ch, 0, fd, deadline);
}

static inline int wait_until(struct channel *ch, uint64_t deadline)
{
	struct pirn_enter arg = {
		.size = sizeof(arg), .flags = PIRN_ENTER_WAIT,
		.deadline = deadline,
	};

	return ioctl(ch->fd, PIRN_IOC_ENTER_UNTIL, &arg);
}

static inline uint64_t soon(void)
{
	return clock_ns() + 20 * MS;
}

/* Does something to an fd after a while, on another thread. */
struct later {
	pthread_t thread;
	unsigned int ms;
	void (*what)(struct later *later);
	int fd;
	struct channel *ch;
};

static inline void *later_run(void *arg)
{
	struct later *later = arg;

	nap_ms(later->ms);
	later->what(later);
	return NULL;
}

static inline void write_it(struct later *later)
{
	uint64_t one = 1;

	check_eq(write(later->fd, &one, sizeof(one)), sizeof(one));
}

static inline void close_it(struct later *later)
{
	must(close(later->fd));
}

static inline void notify_it(struct later *later)
{
	notify(later->ch);
}

static inline void later_start(struct later *later)
{
	if (!later->ms)
		later->ms = 50;
	check_eq(pthread_create(&later->thread, NULL, later_run, later), 0);
}

static inline void later_end(struct later *later)
{
	check_eq(pthread_join(later->thread, NULL), 0);
}

#endif /* PIRN_TESTS_WATCH_H */
