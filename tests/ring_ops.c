// SPDX-License-Identifier: MIT
/*
 * kmod/ring_ops.h against a queue that keeps everything in 64 bits and counts
 * one by one, with indices that start anywhere, also just before 2^32.
 */
#include <linux/types.h>

#include "helpers.h"
#include "ring_ops.h"

/* The truth: positions that never wrap. */
struct model {
	uint64_t tail;		/* CQEs ever published */
	uint64_t head;		/* CQEs ever read */
	uint64_t in_flight;
	uint64_t entries;
	uint64_t slot_of[16384];	/* which CQE lies in a slot */
};

static void publish(struct model *m)
{
	uint32_t slot = pirn_ring_slot((uint32_t)m->tail, (uint32_t)m->entries);

	check_op(slot, <, m->entries);
	/* nothing that was not read is overwritten */
	if (m->slot_of[slot])
		check_op(m->slot_of[slot] - 1, <, m->head);
	m->slot_of[slot] = m->tail + 1;
	m->tail++;
	m->in_flight--;
}

static void read_one(struct model *m)
{
	uint32_t slot = pirn_ring_slot((uint32_t)m->head, (uint32_t)m->entries);

	check_eq(m->slot_of[slot], m->head + 1);
	m->head++;
}

static void check_model(const struct model *m)
{
	uint32_t tail = (uint32_t)m->tail, head = (uint32_t)m->head;
	uint32_t entries = (uint32_t)m->entries;

	check_eq(pirn_ring_unread(tail, head, entries), m->tail - m->head);
	check_eq(pirn_ring_credits(tail, head, (uint32_t)m->in_flight, entries),
		 m->entries - m->in_flight - (m->tail - m->head));
}

static void play(struct rng *rng, uint32_t entries, uint64_t start)
{
	static struct model m;
	uint32_t step, credits;
	uint64_t n;

	memset(&m, 0, sizeof(m));
	m.entries = entries;
	m.tail = m.head = start;
	for (step = 0; step < 20000; step++) {
		switch (rng_below(rng, 3)) {
		case 0: /* admit, as much as there are credits or less */
			credits = pirn_ring_credits((uint32_t)m.tail,
						    (uint32_t)m.head,
						    (uint32_t)m.in_flight, entries);
			m.in_flight += rng_below(rng, 2) ? credits :
				       rng_below(rng, credits + 1u);
			break;
		case 1:
			n = m.in_flight ? rng_below(rng, m.in_flight + 1) : 0;
			while (n--)
				publish(&m);
			break;
		default:
			n = rng_below(rng, m.tail - m.head + 1);
			while (n--)
				read_one(&m);
			break;
		}
		check_model(&m);
	}
}

TEST(agrees_with_a_queue_that_never_wraps)
{
	const uint64_t starts[] = { 1u << 20, UINT32_MAX - 1, UINT32_MAX,
				    1ull << 32, (1ull << 31) - 3, UINT32_MAX - 5000 };
	struct rng rng = { 5 };
	uint32_t entries;
	size_t i;

	for (entries = 1; entries <= 16384; entries *= 2) {
		for (i = 0; i < array_size(starts); i++)
			play(&rng, entries, starts[i]);
	}
}

/* Whatever user space writes, no more is admitted than really is free. */
TEST(a_head_that_lies_admits_nothing_it_should_not)
{
	struct rng rng = { 6 };
	uint32_t entries, tail, head, in_flight, credits, unread;
	unsigned int i;

	for (i = 0; i < 2000000; i++) {
		entries = 1u << rng_below(&rng, 15);
		tail = (uint32_t)rng_next(&rng);
		in_flight = (uint32_t)rng_below(&rng, entries + 1u);
		head = (uint32_t)rng_next(&rng);
		if (rng_below(&rng, 2))
			head = tail - (uint32_t)rng_below(&rng, 3u * entries) + entries;
		unread = pirn_ring_unread(tail, head, entries);
		credits = pirn_ring_credits(tail, head, in_flight, entries);
		check_op(unread, <=, entries);
		check_op(credits + in_flight, <=, entries);
		if (tail - head > entries) {
			/* ahead of tail, or further behind than there is room */
			check_eq(unread, entries);
			check_eq(credits, 0);
		} else {
			check_eq(unread, tail - head);
			if (unread + in_flight < entries)
				check_eq(credits, entries - unread - in_flight);
			else
				check_eq(credits, 0);
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_queue_that_never_wraps),
		cmocka_unit_test(a_head_that_lies_admits_nothing_it_should_not),
	};

	return run_program(argc, argv, "ring_ops", tests, array_size(tests));
}
