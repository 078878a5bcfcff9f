// SPDX-License-Identifier: MIT
/* What all waiting objects share: to which core one belongs. */
#include "lib.h"
#include "sync.h"

/* A core's queues hold fibers of that core only: hence one core an object. */
int pirn_sync_bind(struct pirn_core *core, struct pirn_core **bound)
{
	if (!core)
		return -EPERM;
	if (!*bound)
		*bound = core;
	if (*bound != core)
		return pirn_fail(core, -EXDEV,
				 "the object belongs to another core (or to a runtime that has ended); this is core %u",
				 core->index);
	return 0;
}

int pirn_sync_destroy(struct pirn_core **bound, bool busy)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, bound);

	if (err)
		return err;
	if (busy)
		return pirn_fail(core, -EBUSY,
				 "the object is held or waited for");
	*bound = NULL;
	return 0;
}
