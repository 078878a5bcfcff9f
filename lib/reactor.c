// SPDX-License-Identifier: MIT
/*
 * The reactor: one turn of a core after the other.
 *
 * Stages 4 and 9 of a read: a turn ends with one enter for everything that its
 * fibers queued, and begins with reaping what has completed since.  Who calls
 * it again and again, and where a core sleeps, is the backend's: host.c for
 * threads of a real kernel.
 */
#include "backend.h"
#include "lib.h"
#include "mailbox.h"

void pirn_core_turn(struct pirn_core *core)
{
	pirn_this_core = core;
	core->time_known = false;
	core->stats.turns++;
	core->ops->reap(core);
	pirn_messages_receive(core);
	if (unlikely(atomic_load_explicit(&core->foreign,
					  memory_order_relaxed)))
		pirn_foreign_receive(core);
	if (unlikely(pirn_inlet_ready(core)))
		pirn_inlet_receive(core);
	if (core->timers.next != UINT64_MAX)
		pirn_timers_expire(core, pirn_core_time(core));
	if (core->pending.first)
		pirn_ops_queue_pending(core);
	if (unlikely(core->ops->perturb))
		core->ops->perturb(core);
	pirn_fibers_run(core);
	pirn_messages_flush(core);
	if (core->queued && core->runnable.head)
		pirn_core_enter(core, false, UINT64_MAX);
	/* A core that never idles has stacks to give back, too. */
	if (unlikely(core->stats.turns % 256 == 0) &&
	    pirn_stacks_due(&core->stacks))
		pirn_stacks_tend(core, 4);
}
