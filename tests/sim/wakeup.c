// SPDX-License-Identifier: MIT
/*
 * A lost wake-up: the consumer looks, lets others run, and only then says that
 * it waits.  What came in between wakes nobody.
 */
#include "planted.h"

#define ITEMS 20

static struct pirn_fiber *waiting;
static unsigned int made, taken;

static int producer(void *arg)
{
	(void)arg;
	while (made < ITEMS) {
		right(pirn_sleep(pirn_random() % 5000));
		made++;
		if (waiting)
			right(pirn_unpark(waiting));
	}
	return 0;
}

static int consumer(void *arg)
{
	(void)arg;
	while (taken < ITEMS) {
		if (!bad)
			waiting = pirn_self();
		if (taken == made) {
			if (bad) {
				right(pirn_yield());
				waiting = pirn_self();
			}
			right(pirn_park());
		}
		waiting = NULL;
		while (taken < made)
			taken++;
	}
	return 0;
}

static int life(void *arg)
{
	struct pirn_fiber *fiber[2];

	(void)arg;
	right(pirn_spawn(&fiber[0], consumer, NULL));
	right(pirn_spawn(&fiber[1], producer, NULL));
	right(pirn_join(fiber[0], NULL));
	right(pirn_join(fiber[1], NULL));
	return taken == ITEMS ? 0 : 1;
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	return run_plain(life);
}
