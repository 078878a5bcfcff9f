// SPDX-License-Identifier: MIT
/* Fails each time, and each time otherwise: it reads a clock that is none of the world's. */
#include <time.h>

#include "planted.h"

static int life(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	right(pirn_sleep((uint64_t)now.tv_nsec % 100000 + 1));
	return 1;
}

int main(void)
{
	return run_plain(life);
}
