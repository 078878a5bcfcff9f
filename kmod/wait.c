// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 8, its end.  Sleeping and waking: a core sleeps in one place,
 * pirn_wait(), called by enter.c; it is woken by a completion (complete.c), by
 * NOTIFY (ctl.c) or by its deadline.  Whoever would rather sleep in epoll_wait()
 * polls the channel's file.
 *
 * Everything is decided under the channel's lock.  The waiter is on its own
 * stack and takes the lock before it leaves, so whoever finds it there may
 * touch it, and its task, until the lock is dropped.  The finder takes it off:
 * a sleep is ended by one wake, however many completions follow.
 */
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>

#include "pirn.h"

/* Wakes who waits for the channel, if anybody does. */
void pirn_wake(struct pirn_channel *ch)
{
	struct pirn_waiter *waiter = ch->waiter;

	lockdep_assert_held(&ch->lock);

	if (waiter) {
		ch->waiter = NULL;
		waiter->woken = true;
		ch->counters.wakeups++;
		wake_up_process(waiter->task);
	}
	/*
	 * Without a barrier, because pirn_poll() queues itself before it takes
	 * the lock to look: either it sees what we just did under the lock, or
	 * we see it queued.
	 */
	if (unlikely(waitqueue_active(&ch->poll_wait)))
		wake_up_interruptible_poll(&ch->poll_wait,
					   EPOLLIN | EPOLLRDNORM);
}

/* cq_head is user space's: a wrong one means no sleep, or a long one. */
static bool pirn_cq_empty(const struct pirn_channel *ch)
{
	return ch->cq_tail == READ_ONCE(ch->header->cq_head);
}

/*
 * The deadline on the host's clock: a task in a time namespace counts from
 * another point.  0 means no deadline to the timer, so what is past becomes 1.
 */
static ktime_t pirn_deadline(u64 deadline)
{
	struct timespec64 offset = {};
	s64 ns = min_t(u64, deadline, KTIME_MAX);

	timens_add_monotonic(&offset);
	if (check_sub_overflow(ns, (s64)timespec64_to_ns(&offset), &ns))
		ns = KTIME_MAX;
	return max_t(s64, ns, 1);
}

/* Returns true when the deadline has passed, false when woken for any reason. */
static bool pirn_sleep(ktime_t *expires)
{
	return !schedule_hrtimeout_range(expires, current->timer_slack_ns,
					 HRTIMER_MODE_ABS) && expires;
}

/*
 * Sleeps until the CQ is not empty or a NOTIFY came.  Called with the channel's
 * lock held, returns without.  deadline in nanoseconds of the caller's
 * CLOCK_MONOTONIC, 0 for none.
 *
 * Returns 0, -EINTR or -ETIME.
 */
int pirn_wait(struct pirn_channel *ch, u64 deadline)
	__releases(&ch->lock)
{
	struct pirn_waiter waiter = { .task = current };
	ktime_t expires = 0;
	bool timed_out;
	int err = 0;

	if (ch->notified || !pirn_cq_empty(ch)) {
		ch->notified = false;
		spin_unlock_irq(&ch->lock);
		return 0;
	}
	if (deadline)
		expires = pirn_deadline(deadline);

	ch->waiter = &waiter;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		spin_unlock_irq(&ch->lock);
		timed_out = pirn_sleep(deadline ? &expires : NULL);
		spin_lock_irq(&ch->lock);
		if (waiter.woken)
			break;
		/* Also true for task work, which wants us in user space. */
		if (signal_pending(current))
			err = -EINTR;
		else if (timed_out)
			err = -ETIME;
		if (err) {
			ch->waiter = NULL;
			break;
		}
	}
	spin_unlock_irq(&ch->lock);
	return err;
}

/* Ends the wait of an ENTER, or the next one: it is kept until consumed. */
void pirn_notify(struct pirn_channel *ch)
{
	spin_lock_irq(&ch->lock);
	if (!ch->waiter)
		ch->notified = true;
	pirn_wake(ch);
	spin_unlock_irq(&ch->lock);
}

__poll_t pirn_poll(struct file *file, struct poll_table_struct *table)
{
	struct pirn_channel *ch = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &ch->poll_wait, table);
	spin_lock_irq(&ch->lock);
	if (ch->notified || !pirn_cq_empty(ch))
		mask = EPOLLIN | EPOLLRDNORM;
	spin_unlock_irq(&ch->lock);
	return mask;
}
