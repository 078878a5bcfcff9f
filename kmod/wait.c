// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: stage 8, its end.  Sleeping and waking: a core sleeps in one place,
 * pirn_wait(), called by enter.c; it is woken by a completion (complete.c), by
 * NOTIFY (ctl.c), by its deadline, or by another file that it watches.  Whoever
 * would rather sleep in epoll_wait() polls the channel's file.
 *
 * The waiter is on its own stack and announced under the channel's lock.  It
 * takes the lock before it leaves, so whoever finds it there may touch it, and
 * its task, until the lock is dropped.  The finder takes it off: a sleep is
 * ended by one wake, however many completions follow.
 *
 * A watched file is asked as poll(2) asks: the entries in its wait queues are on
 * the waiter's stack too, are made by the waiter's own thread and are gone when
 * it leaves.  Nothing is stored, so nothing can dangle when a wait queue is freed
 * before its file (POLLFREE), and an epoll that contains the channel which
 * watches it is no circle: its wake ends this wait and reaches no queue of ours.
 */
#include <linux/file.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>

#include "pirn.h"
#include "trace.h"

#define PIRN_READABLE	(EPOLLIN | EPOLLRDNORM)

/* Another file that a wait watches. */
struct pirn_watch {
	struct file		*file;
	struct poll_wqueues	table;
};

/* pirn_wake() for a channel that somebody waits for, or did. */
void pirn_wake_up(struct pirn_channel *ch)
{
	struct pirn_waiter *waiter = ch->waiter;

	lockdep_assert_held(&ch->lock);

	if (waiter) {
		ch->waiter = NULL;
		WRITE_ONCE(waiter->woken, true);
		ch->counters.wakeups++;
		trace_pirn_wake(ch, waiter->task);
		wake_up_process(waiter->task);
	}
	/* No barrier: as in pirn_wake().  An epoll stays queued. */
	ch->listened = waitqueue_active(&ch->poll_wait);
	if (ch->listened)
		wake_up_interruptible_poll(&ch->poll_wait, PIRN_READABLE);
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
static bool pirn_schedule(ktime_t *expires)
{
	if (expires)
		return !schedule_hrtimeout_range(expires,
						 current->timer_slack_ns,
						 HRTIMER_MODE_ABS);
	schedule();
	return false;
}

/* ------------------------------------------------------------ another file */

/*
 * The file that a wait is to watch, with a reference.  A file that cannot be
 * polled counts as always ready, a core would spin on it: it is refused, and
 * so are ours, whose wakes need no detour.
 */
struct file *pirn_watch_get(int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file_can_poll(file) && file->f_op != &pirn_channel_fops)
		return file;
	fput(file);
	return ERR_PTR(-EOPNOTSUPP);
}

/* Asks the file; what makes it readable after that sets triggered again. */
static bool pirn_watch_ready(struct pirn_watch *watch)
{
	struct poll_table_struct *pt = &watch->table.pt;
	__poll_t mask;

	/* Before the look, or a wake between the two would be forgotten. */
	smp_store_mb(watch->table.triggered, 0);
	mask = vfs_poll(watch->file, pt);
	/* Queued once. */
	pt->_qproc = NULL;
	/* No memory for an entry means no wake: the caller looks for itself. */
	return watch->table.error || mask & (PIRN_READABLE | EPOLLERR | EPOLLHUP);
}

static bool pirn_watch_triggered(const struct pirn_watch *watch)
{
	return watch && READ_ONCE(watch->table.triggered);
}

/* ---------------------------------------------------------------- the wait */

/* What there is to say of the channel; uses up a NOTIFY. */
static unsigned int pirn_news(struct pirn_channel *ch)
{
	unsigned int news = 0;

	lockdep_assert_held(&ch->lock);

	if (!pirn_cq_empty(ch))
		news |= PIRN_ENDED_CQE;
	if (ch->notified)
		news |= PIRN_ENDED_NOTIFY;
	ch->notified = false;
	return news;
}

/*
 * Sleeps until waiter is woken, or for another reason, which it returns.
 * waiter->woken is read without the lock: set_current_state() has the barrier
 * that pairs with the one in wake_up_process().
 */
static unsigned int pirn_sleep(struct pirn_waiter *waiter, ktime_t *expires,
			       struct pirn_watch *watch)
{
	unsigned int ended = 0;
	bool timed_out = false;

	while (!ended) {
		if (watch && pirn_watch_ready(watch))
			return PIRN_ENDED_WATCH;
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		if (!READ_ONCE(waiter->woken) && !pirn_watch_triggered(watch))
			timed_out = pirn_schedule(expires);
		__set_current_state(TASK_RUNNING);
		if (READ_ONCE(waiter->woken))
			break;
		/* Also true for task work, which wants us in user space. */
		if (signal_pending(current))
			ended = PIRN_ENDED_SIGNAL;
		else if (timed_out)
			ended = PIRN_ENDED_DEADLINE;
	}
	return ended;
}

static unsigned int pirn_wait_with(struct pirn_channel *ch, u64 deadline,
				   struct pirn_watch *watch)
	__releases(&ch->lock)
{
	struct pirn_waiter waiter = { .task = current };
	unsigned int ended;
	ktime_t expires;

	ch->waiter = &waiter;
	ch->listened = true;
	spin_unlock_irq(&ch->lock);
	if (deadline)
		expires = pirn_deadline(deadline);
	ended = pirn_sleep(&waiter, deadline ? &expires : NULL, watch);
	spin_lock_irq(&ch->lock);
	/* When woken, what is there now may be another ENTER's. */
	if (!waiter.woken)
		ch->waiter = NULL;
	else
		ended |= waiter.notified ? PIRN_ENDED_NOTIFY : PIRN_ENDED_CQE;
	ended |= pirn_news(ch);
	spin_unlock_irq(&ch->lock);
	return ended;
}

/* Apart, because the table is large. */
static noinline unsigned int pirn_wait_watching(struct pirn_channel *ch,
						const struct pirn_until *until)
	__releases(&ch->lock)
{
	struct pirn_watch watch = { .file = until->watch };
	unsigned int ended;

	poll_initwait(&watch.table);
	watch.table.pt._key = PIRN_READABLE | EPOLLERR | EPOLLHUP;
	ended = pirn_wait_with(ch, until->deadline, &watch);
	poll_freewait(&watch.table);
	return ended;
}

/*
 * Sleeps until the CQ is not empty, a NOTIFY came, or what else until names.
 * Called with the channel's lock held, returns without.
 *
 * Returns what ended the wait, PIRN_ENDED_*; what comes together is told
 * together.
 */
unsigned int pirn_wait(struct pirn_channel *ch, const struct pirn_until *until)
	__releases(&ch->lock)
{
	unsigned int news = pirn_news(ch);

	if (news) {
		spin_unlock_irq(&ch->lock);
		return news;
	}
	if (unlikely(until->watch))
		return pirn_wait_watching(ch, until);
	return pirn_wait_with(ch, until->deadline, NULL);
}

/* Ends the wait of an ENTER, or the next one: it is kept until consumed. */
void pirn_notify(struct pirn_channel *ch)
{
	spin_lock_irq(&ch->lock);
	if (ch->waiter)
		ch->waiter->notified = true;
	else
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
	ch->listened = true;
	if (ch->notified || !pirn_cq_empty(ch))
		mask = PIRN_READABLE;
	spin_unlock_irq(&ch->lock);
	return mask;
}
