// SPDX-License-Identifier: MIT
/* The same function on every core, or in many fibers of one. */
#include <errno.h>
#include <stdlib.h>

#include "pirn_cmd.h"

/* Joins what was spawned; results below zero are errnos or the caller's own. */
static int join_all(struct pirn_fiber **fibers, unsigned int count, int worst)
{
	unsigned int i;
	int err, result = 0;

	for (i = 0; i < count; i++) {
		err = pirn_join(fibers[i], &result);
		if (err < 0)
			result = err;
		if (result < worst)
			worst = result;
	}
	return worst;
}

int cores_run_fibers(unsigned int count, int (*fn)(void *arg), void *arg)
{
	struct pirn_fiber **fibers = calloc(count, sizeof(fibers[0]));
	unsigned int made;
	int err = 0;

	if (!fibers)
		return -ENOMEM;
	for (made = 0; made < count; made++) {
		err = pirn_spawn(&fibers[made], fn, arg);
		if (err < 0)
			break;
	}
	err = join_all(fibers, made, err);
	free(fibers);
	return err;
}

struct call {
	unsigned int core;
	int (*fn)(void *arg);
	void *arg;
};

static int call_core(void *arg)
{
	struct call *call = arg;
	int err, result = 0;

	err = pirn_call(call->core, call->fn, call->arg, &result);
	return err < 0 ? err : result;
}

/* pirn_call() parks its caller: one fiber here for each core there. */
int cores_run(int (*fn)(void *arg), void *arg)
{
	unsigned int made, cores = (unsigned int)pirn_core_count();
	struct pirn_fiber **fibers = calloc(cores, sizeof(fibers[0]));
	struct call *calls = calloc(cores, sizeof(calls[0]));
	int err = 0;

	if (!fibers || !calls) {
		err = -ENOMEM;
		goto free;
	}
	for (made = 0; made < cores; made++) {
		calls[made] = (struct call){ made, fn, arg };
		err = pirn_spawn(&fibers[made], call_core, &calls[made]);
		if (err < 0)
			break;
	}
	err = join_all(fibers, made, err);
free:
	free(calls);
	free(fibers);
	return err;
}
