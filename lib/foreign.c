// SPDX-License-Identifier: MIT
/*
 * What comes to a core from threads that are no cores but the library's own:
 * helpers.  Those of the program come by door.c.
 *
 * A list with many producers and one consumer, last come first, which the core
 * takes whole and turns round.
 *
 *   any thread                             the core
 *
 *   load foreign into item->next           (B) exchange foreign with NULL,
 *   (A) compare and swap foreign from          acquire; run the items, first
 *       that to item, release                  come first
 *   (C) full fence                         (D) store sleeping, full fence
 *   load sleeping; if set, wake            look at foreign again; if NULL, sleep
 *
 *   (A) pairs with (B): without them the core runs an item half written.
 *   (C) pairs with (D) of mailbox.c: without either an item is never seen.
 *
 * Taken whole, so that an item which comes back meanwhile cannot be mistaken
 * for the one that was there before (the ABA problem of popping one).
 */
#include "backend.h"
#include "lib.h"

void pirn_core_wake(struct pirn_core *core)
{
	/* Of several that would wake it only one does. */
	if (atomic_load_explicit(&core->sleeping, memory_order_relaxed) !=
	    PIRN_AWAKE &&
	    atomic_exchange_explicit(&core->sleeping, PIRN_AWAKE,
				     memory_order_relaxed) != PIRN_AWAKE)
		core->ops->wake(core);
}

void pirn_foreign_send(struct pirn_core *core, struct pirn_foreign *item)
{
	struct pirn_foreign *last;

	last = atomic_load_explicit(&core->foreign, memory_order_relaxed);
	do {
		item->next = last;
		/* (A) */
	} while (!atomic_compare_exchange_weak_explicit(&core->foreign, &last,
							item,
							memory_order_release,
							memory_order_relaxed));
	/* (C) */
	pirn_full_fence();
	pirn_core_wake(core);
}

void pirn_foreign_receive(struct pirn_core *core)
{
	struct pirn_foreign *item, *next, *first = NULL;

	/* (B) */
	item = atomic_exchange_explicit(&core->foreign, NULL,
					memory_order_acquire);
	for (; item; item = next) {
		next = item->next;
		item->next = first;
		first = item;
	}
	for (item = first; item; item = next) {
		next = item->next;
		item->run(core, item);
	}
}
