// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 5 of a read.  One ENTER: becomes the channel's submitter, takes
 * credits for as many SQEs as the CQ has room for, lets submit.c consume them,
 * gives back the credits that were not used, and waits in wait.c if asked to.
 * Called by ctl.c.
 *
 * The submitter.  pirn_channel.submitter is a lock that is only ever tried: two
 * threads in ENTER are a mistake of the caller, who is told EBUSY.  It is taken
 * and dropped under the channel's spinlock, which ENTER needs at both ends
 * anyway, and what the submitter owns is ordered by that.  It also is how
 * bi_end_io recognises that it runs inside this thread's submit_bio().
 */
#include <linux/cred.h>
#include <linux/ioprio.h>
#include <linux/sched/mm.h>
#include <linux/time_namespace.h>

#include "pirn.h"

/*
 * The first ENTER binds the channel to its address space.  Apart, because what it
 * has on the stack would be guarded at each ENTER.
 */
static noinline int pirn_bind(struct pirn_channel *ch)
{
	struct timespec64 offset = {};

	lockdep_assert_held(&ch->lock);

	if (ch->mm)
		return -EPERM;
	mmgrab(current->mm);
	ch->mm = current->mm;
	timens_add_monotonic(&offset);
	ch->time_offset = timespec64_to_ns(&offset);
	return 0;
}

/*
 * Takes credits for nr SQEs, or as many as there are.  Each needs one: a CQ entry
 * that is its own until user space has read it.  An op is free at completion, its
 * CQ entry is not, which is why ops are no measure of room.  A JOIN may need two,
 * and has a member at least: twice nr is enough for any nr SQEs.
 */
static void pirn_reserve(struct pirn_channel *ch, u32 nr)
{
	/* (E) in <linux/pirn.h>: entries before head have been read. */
	u32 head = smp_load_acquire(&ch->header->cq_head);

	lockdep_assert_held(&ch->lock);

	if (ch->nr_results)
		nr *= 2;
	nr = min(nr, pirn_ring_credits(ch->cq_tail, head, ch->in_flight,
				       ch->cq_entries));
	ch->in_flight += nr;
	ch->credits = nr;

	/* In front of the others: the op used last is the warmest. */
	if (ch->done.head) {
		ch->done.tail->next = ch->free;
		ch->free = ch->done.head;
		ch->done.head = NULL;
	}
}

/*
 * A core that is taken off its CPU makes no mistake anybody would see but in its
 * latency.  What the scheduler counts of the thread costs nothing to look at; a
 * thread that takes the channel over begins with what it has.
 */
static void pirn_sample(struct pirn_channel *ch)
{
	struct pirn_sample *last = &ch->sample;
	const struct task_struct *task = current;
	unsigned long nivcsw = task->nivcsw;
	u64 run_delay = pirn_run_delay();

	lockdep_assert_held(&ch->lock);

	if (unlikely(last->task != task || last->start != task->start_time)) {
		last->task = task;
		last->start = task->start_time;
	} else if (unlikely(last->nivcsw != nivcsw ||
			    last->run_delay != run_delay)) {
		ch->counters.preemptions += nivcsw - last->nivcsw;
		ch->counters.run_delay_ns += run_delay - last->run_delay;
	} else {
		return;
	}
	last->nivcsw = nivcsw;
	last->run_delay = run_delay;
}

/*
 * Whether the channel's identity is the caller's.  Under the lock, which keeps what
 * a task's cgroups are read from as rcu_read_lock() does.
 */
static bool pirn_ident_is_current(const struct pirn_channel *ch)
{
	const struct pirn_ident *ident = ch->ident;

	lockdep_assert_held(&ch->lock);

	return likely(ident) && ident->blkcg == pirn_current_blkcg() &&
	       ident->memcg == pirn_current_memcg() &&
	       ident->cred == current_cred() &&
	       ident->ioprio == get_current_ioprio();
}

/* The count wins: those SQEs are gone, whatever came after. */
static long pirn_waited(long used, unsigned int ended)
{
	if (used || ended & (PIRN_ENDED_CQE | PIRN_ENDED_NOTIFY |
			     PIRN_ENDED_WATCH))
		return used | ended;
	return ended & PIRN_ENDED_SIGNAL ? -EINTR : -ETIME;
}

/*
 * Process context; the caller holds the channel's file, and the one to watch.
 * until is NULL for not waiting.
 *
 * Returns how many SQEs were consumed, with PIRN_ENDED_* when it waited, or a
 * negative errno.
 */
long pirn_enter(struct pirn_channel *ch, u32 to_submit,
		const struct pirn_until *until)
{
	unsigned long began = jiffies;
	bool known;
	long used = 0;
	int err = 0;

	if (to_submit > ch->sq_entries)
		return -EINVAL;

	spin_lock_irq(&ch->lock);
	if (unlikely(ch->mm != current->mm))
		err = pirn_bind(ch);
	if (unlikely(ch->submitter || ch->waiter))
		err = err ?: -EBUSY;
	if (unlikely(err)) {
		spin_unlock_irq(&ch->lock);
		return err;
	}
	ch->counters.enters++;
	pirn_sample(ch);

	if (to_submit) {
		pirn_reserve(ch, to_submit);
		ch->submitter = current;
		known = pirn_ident_is_current(ch);
		spin_unlock_irq(&ch->lock);

		if (unlikely(!known))
			err = pirn_ident_update(ch);
		if (likely(!err))
			used = pirn_submit(ch, to_submit);

		spin_lock_irq(&ch->lock);
		ch->submitter = NULL;
		ch->in_flight -= ch->credits;
		ch->counters.submitted += used;
		/* More than a tick: something held us back, throttling mostly. */
		if (unlikely(jiffies - began > 1))
			ch->counters.slow_submits++;
	}
	if (until && !err)
		return pirn_waited(used, pirn_wait(ch, until));
	spin_unlock_irq(&ch->lock);
	return err ?: used;
}
