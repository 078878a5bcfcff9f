// SPDX-License-Identifier: MIT
/* Ending a wait before what it waits for has come: see wait.h. */
#include "lib.h"
#include "wait.h"

void pirn_wait_break(struct pirn_core *core, struct pirn_fiber *fiber,
		     int error)
{
	struct pirn_wait *wait = fiber->wait;

	if (!wait)
		return;
	pirn_fail_plain(core, error);
	pirn_wait_end(core, wait, error);
	if (wait->left)
		wait->left(core, wait);
}

void pirn_wait_timed_out(struct pirn_core *core, struct pirn_timer *timer)
{
	struct pirn_wait *wait = container_of(timer, struct pirn_wait, timer);

	/* Ended already when it is runnable and only has not run yet. */
	if (wait->fiber->wait != wait)
		return;
	wait->timed_out = true;
	pirn_wait_break(core, wait->fiber, -ETIMEDOUT);
}
