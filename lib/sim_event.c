// SPDX-License-Identifier: MIT
/*
 * What happens next: a heap of events with four children a place (two of which
 * share a cache line), ordered by time and then by a random number.
 */
#include <stdlib.h>

#include "sim.h"

static inline bool before(const struct sim_entry *a, const struct sim_entry *b)
{
	return a->time != b->time ? a->time < b->time : a->tie < b->tie;
}

static inline void put(struct sim_heap *heap, uint32_t place,
		       const struct sim_entry *entry)
{
	heap->entry[place] = *entry;
	entry->event->place = place;
}

/* Children of place p: 4p - 2 to 4p + 1; its parent: (p + 2) / 4. */
static void sift_up(struct sim_heap *heap, uint32_t place,
		    const struct sim_entry *entry)
{
	while (place > 1) {
		uint32_t parent = (place + 2) / 4;

		if (!before(entry, &heap->entry[parent]))
			break;
		put(heap, place, &heap->entry[parent]);
		place = parent;
	}
	put(heap, place, entry);
}

static void sift_down(struct sim_heap *heap, uint32_t place,
		      const struct sim_entry *entry)
{
	for (;;) {
		uint32_t child = 4 * place - 2, least = child;
		uint32_t end = child + 4;

		if (child > heap->count)
			break;
		if (end > heap->count + 1)
			end = heap->count + 1;
		for (child++; child < end; child++)
			if (before(&heap->entry[child], &heap->entry[least]))
				least = child;
		if (!before(&heap->entry[least], entry))
			break;
		put(heap, place, &heap->entry[least]);
		place = least;
	}
	put(heap, place, entry);
}

int sim_heap_reserve(struct sim_heap *heap, uint32_t more)
{
	uint32_t room = heap->promised + more + 1;
	struct sim_entry *entry;

	if (room > heap->room) {
		room += room / 2;
		entry = realloc(heap->entry, room * sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		heap->entry = entry;
		heap->room = room;
	}
	heap->promised += more;
	return 0;
}

void sim_event_add(struct pirn_sim *sim, struct sim_event *event, uint64_t time)
{
	struct sim_entry entry = {
		.time = time, .tie = sim_next(&sim->schedule), .event = event,
	};

	sift_up(&sim->heap, ++sim->heap.count, &entry);
}

void sim_event_remove(struct pirn_sim *sim, struct sim_event *event)
{
	struct sim_heap *heap = &sim->heap;
	uint32_t place = event->place;
	struct sim_entry last = heap->entry[heap->count--];

	event->place = 0;
	if (last.event == event)
		return;
	if (place > 1 && before(&last, &heap->entry[(place + 2) / 4]))
		sift_up(heap, place, &last);
	else
		sift_down(heap, place, &last);
}
