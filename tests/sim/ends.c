// SPDX-License-Identifier: MIT
/* Ends as it is told: well, by a signal, not at all, by how many cores there are. */
#include "planted.h"

static char **words;

static int life(void *arg)
{
	(void)arg;
	right(pirn_sleep(1000));
	if (!strcmp(words[1], "signal"))
		abort();
	while (!strcmp(words[1], "hang"))
		;
	if (!strcmp(words[1], "cores"))
		return pirn_core_count() != atoi(words[2]);
	return strcmp(words[1], "well");
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	words = argv;
	return run_plain(life);
}
