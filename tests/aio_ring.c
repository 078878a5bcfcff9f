// SPDX-License-Identifier: MIT
/*
 * Reading the ring of an aio context, beside a thread that fills it the way the
 * kernel does (fs/aio.c), as fast as there is room.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "aio_ring.h"
#include "helpers.h"

static struct pirn_aio_header *new_ring(uint32_t nr)
{
	struct pirn_aio_header *ring;

	ring = calloc(1, sizeof(*ring) + nr * sizeof(ring->event[0]));
	check(ring);
	ring->nr = nr;
	ring->magic = PIRN_AIO_MAGIC;
	ring->header_length = sizeof(*ring);
	return ring;
}

/* What the kernel does for one event; false when the ring is full. */
static bool post(struct pirn_aio_header *ring, uint64_t data)
{
	uint32_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	uint32_t tail = ring->tail;
	uint32_t next = tail + 1 == ring->nr ? 0 : tail + 1;

	if (next == head)
		return false;
	ring->event[tail] = (struct io_event){
		.data = data, .res = (__s64)~data, .obj = data * 3,
	};
	__atomic_store_n(&ring->tail, next, __ATOMIC_RELEASE);
	return true;
}

static uint64_t expected;

static void expect_next(void *arg, const struct io_event *event)
{
	uint64_t *seen = arg;

	check_eq(event->data, expected);
	check_eq(event->obj, expected * 3);
	check_eq(event->res, ~expected);
	expected++;
	++*seen;
}

struct kernel {
	struct pirn_aio_header *ring;
	uint64_t events;
	_Atomic uint64_t posted;	/* of them, once there are no more */
};

static void *fill_ring(void *arg)
{
	struct kernel *k = arg;
	/* each change of sides waits for the scheduler, which may have others to serve */
	uint64_t enough = clock_ns() + 5000000000u, i;

	for (i = 0; i < k->events && clock_ns() < enough; i++)
		while (!post(k->ring, i))
			sched_yield();
	atomic_store(&k->posted, i);
	return NULL;
}

static void race(uint32_t nr, uint64_t events)
{
	struct pirn_aio_ring view = { NULL };
	struct kernel k = { new_ring(nr), events, UINT64_MAX };
	uint64_t seen = 0;
	uint32_t n;
	pthread_t thread;

	expected = 0;
	check(pirn_aio_ring_open(&view, k.ring));
	check_eq(pthread_create(&thread, NULL, fill_ring, &k), 0);
	while (seen < atomic_load(&k.posted)) {
		uint64_t before = seen;

		n = pirn_aio_ring_reap(&view, expect_next, &seen);
		check_eq(n, seen - before);
		check_op(n, <, nr);
		if (!n)
			sched_yield();
	}
	check_eq(pthread_join(thread, NULL), 0);
	check_op(seen, >, 0);
	check(!pirn_aio_ring_ready(&view));
	free(k.ring);
}

TEST(each_event_is_read_once_whole_and_in_order)
{
	race(2, scaled(20000, 2000));
	race(3, scaled(50000, 5000));
	race(7, scaled(200000, 20000));
	race(128, scaled(1000000, 100000));
}

TEST(positions_go_back_to_zero_at_the_end)
{
	struct pirn_aio_header *ring = new_ring(5);
	struct pirn_aio_ring view = { NULL };
	uint64_t seen = 0, posted = 0;
	uint32_t n, round;

	expected = 0;
	check(pirn_aio_ring_open(&view, ring));
	for (round = 0; round < 100; round++) {
		for (n = 0; n < round % 5; n++)
			check(post(ring, posted++));
		check_eq(pirn_aio_ring_count(&view), round % 5);
		check_eq(pirn_aio_ring_ready(&view), round % 5 != 0);
		check_eq(pirn_aio_ring_reap(&view, expect_next, &seen), round % 5);
		check_eq(ring->head, posted % 5);
		check(!pirn_aio_ring_ready(&view));
	}
	/* a full one is not empty */
	while (post(ring, posted))
		posted++;
	check_eq(pirn_aio_ring_count(&view), 4);
	/* io_getevents took one */
	ring->head = (ring->head + 1) % 5;
	expected++;
	pirn_aio_ring_seek(&view);
	check_eq(pirn_aio_ring_count(&view), 3);
	check_eq(pirn_aio_ring_reap(&view, expect_next, &seen), 3);
	free(ring);
}

/* Some kernels that are not Linux have linux-aio and no ring, or another. */
TEST(what_is_no_ring_is_refused)
{
	struct pirn_aio_header *ring = new_ring(5);
	struct pirn_aio_ring view = { NULL };

	check(pirn_aio_ring_open(&view, ring));
	ring->magic++;
	check(!pirn_aio_ring_open(&view, ring));
	ring->magic--;
	ring->incompat_features = 1;
	check(!pirn_aio_ring_open(&view, ring));
	ring->incompat_features = 0;
	ring->compat_features = 1u << 31;
	check(pirn_aio_ring_open(&view, ring));
	ring->header_length += 32;
	check(!pirn_aio_ring_open(&view, ring));
	free(ring);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_is_read_once_whole_and_in_order),
		cmocka_unit_test(positions_go_back_to_zero_at_the_end),
		cmocka_unit_test(what_is_no_ring_is_refused),
	};

	return run_program(argc, argv, "aio_ring", tests, array_size(tests));
}
