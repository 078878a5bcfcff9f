// SPDX-License-Identifier: MIT
/*
 * The reactor: one turn after the other on each core, and the one place where a
 * core sleeps.
 *
 * Stages 4 and 9 of a read: a turn ends with one enter for everything that its
 * fibers queued, and begins with reaping what has completed since.
 *
 * Going to sleep is announce, full barrier, look again, sleep.  What it pairs
 * with is told in message.c; completions need no barrier here, because the
 * kernel looks at the ring itself before it puts the core to sleep.
 */
#include "backend.h"
#include "lib.h"
#include "sanitizer.h"

static inline bool stopping(const struct pirn_core *core)
{
	return atomic_load_explicit(&core->rt->stop, memory_order_acquire);
}

/*
 * One pass: everything that has come in, then fibers, then everything that goes
 * out.  Keeps nothing between calls but what is in @core, so that any thread
 * may run any core's turns, one at a time.
 */
static void turn(struct pirn_core *core)
{
	core->stats.turns++;
	core->ops->reap(core);
	pirn_messages_receive(core);
	if (core->timers.next != UINT64_MAX)
		pirn_timers_expire(core, core->ops->now());
	if (core->pending)
		pirn_ops_queue_pending(core);
	pirn_fibers_run(core);
	pirn_messages_flush(core);
	if (core->queued && core->runnable.head)
		core->ops->enter(core, false, UINT64_MAX);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* Looks for work for spin_ns, or until a timer is due; true when there is. */
static bool spin(struct pirn_core *core)
{
	uint64_t until, now = core->ops->now();

	if (__builtin_add_overflow(now, core->rt->opt.spin_ns, &until))
		until = UINT64_MAX;
	do {
		/* The clock costs more than looking: look a few times. */
		for (int i = 0; i < 16; i++) {
			if (core->ops->ready(core) ||
			    pirn_messages_ready(core) || stopping(core))
				return true;
			cpu_relax();
		}
		now = core->ops->now();
		if (now >= core->timers.next)
			return true;
	} while (now < until);
	return false;
}

/* Nothing is runnable.  What the turn queued goes out with the sleep. */
static void idle(struct pirn_core *core)
{
	uint64_t deadline = core->timers.next;

	if (core->rt->opt.spin_ns) {
		if (core->queued)
			core->ops->enter(core, false, UINT64_MAX);
		if (spin(core))
			return;
	}
	/* (D): announce; the fence is before the second look. */
	atomic_store_explicit(&core->sleeping,
			      pirn_mailboxes_stuck(core) ? PIRN_SLEEPS_STUCK :
							   PIRN_SLEEPS,
			      memory_order_relaxed);
	pirn_full_fence();
	if (!pirn_messages_ready(core) && !stopping(core) &&
	    !core->ops->ready(core)) {
		core->stats.sleeps++;
		core->ops->enter(core, true, deadline);
	} else if (core->queued) {
		core->ops->enter(core, false, UINT64_MAX);
	}
	atomic_store_explicit(&core->sleeping, PIRN_AWAKE,
			      memory_order_relaxed);
}

/* After the last turn: memory that a device writes to cannot be given back. */
static void drain(struct pirn_core *core)
{
	while (core->in_flight) {
		core->ops->reap(core);
		if (core->in_flight)
			core->ops->enter(core, true, UINT64_MAX);
	}
}

void pirn_core_run(struct pirn_core *core)
{
	core->current = &core->reactor;
	core->reactor.core = core;
	san_thread_start(&core->reactor);
	while (!stopping(core)) {
		turn(core);
		if (!core->runnable.head && !stopping(core))
			idle(core);
	}
	drain(core);
}
