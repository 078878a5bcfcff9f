// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: beside it.  /sys/kernel/debug/pirn/cpuN/device_times: a histogram of what
 * ops took between ENTER and their end, on the channels of CPU N that have times.
 * One line for each bucket that is not empty: where it begins in nanoseconds, and
 * how many ops are in it.  And /sys/kernel/debug/pirn/channels: who has a channel,
 * and on which disk its ops are.  Called by main.c; stats.c adds up and goes through
 * the channels.
 */
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>

#include "pirn.h"

static struct dentry *pirn_debug_dir;

static int pirn_device_times_show(struct seq_file *m, void *v)
{
	u64 *sum;
	u32 i;

	sum = kvcalloc(PIRN_HISTOGRAM_BUCKETS, sizeof(*sum), GFP_KERNEL);
	if (!sum)
		return -ENOMEM;
	pirn_stats_device_times((unsigned long)m->private, sum);
	for (i = 0; i < PIRN_HISTOGRAM_BUCKETS; i++)
		if (sum[i])
			seq_printf(m, "%llu %llu\n", pirn_histogram_start(i),
				   sum[i]);
	kvfree(sum);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pirn_device_times);

/* A target of a channel, if it has ops that have not ended. */
static void pirn_target_show(struct seq_file *m, struct pirn_channel *ch, u32 i)
{
	u32 in_flight = 0, working = 0;
	struct pirn_target *target;
	dev_t dev = 0;

	spin_lock_irq(&ch->lock);
	/* ATTACH does not take the lock to enter one. */
	target = READ_ONCE(ch->targets[i]);
	if (target) {
		/* The submitter, if there is one, does not take the lock to count. */
		in_flight = data_race(target->issued) - target->done;
		working = target->working;
		dev = target->dev;
	}
	spin_unlock_irq(&ch->lock);
	if (in_flight)
		seq_printf(m, "  target=%u dev=%u:%u in_flight=%u in_worker=%u\n",
			   i, MAJOR(dev), MINOR(dev), in_flight, working);
}

/*
 * One line for a channel and one for each target that it waits for.  A thread in
 * ENTER takes the lock to leave it, so while we hold that its task is there.
 */
static void pirn_channel_show(struct seq_file *m, struct pirn_channel *ch)
{
	const char *state = "outside";
	u32 in_flight, unread, i;
	u64 completed;
	int tid = 0;

	spin_lock_irq(&ch->lock);
	if (ch->dead) {
		state = "closed";
	} else if (ch->submitter) {
		state = "submitting";
		tid = task_pid_nr(ch->submitter);
	} else if (ch->waiter) {
		state = "asleep";
		tid = task_pid_nr(ch->waiter->task);
	}
	in_flight = ch->in_flight - ch->join_entries;
	completed = ch->counters.completed;
	/* User space may have written anything there. */
	unread = min(ch->cq_tail - READ_ONCE(ch->header->cq_head),
		     ch->cq_entries);
	spin_unlock_irq(&ch->lock);

	seq_printf(m, "cpu=%u pid=%d comm=", ch->cpu, ch->pid);
	/* Anybody's text, which a reader's terminal is not to obey. */
	seq_escape_str(m, ch->comm,
		       ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND, " \\");
	seq_printf(m, " state=%s tid=%d in_flight=%u completed=%llu unread=%u entries=%u\n",
		   state, tid, in_flight, completed, unread, ch->cq_entries);
	for (i = 0; i < PIRN_MAX_TARGETS; i++)
		if (READ_ONCE(ch->targets[i]))
			pirn_target_show(m, ch, i);
}

static int pirn_channels_show(struct seq_file *m, void *v)
{
	pirn_stats_each_channel(pirn_channel_show, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pirn_channels);

/* What cannot be made is missing, as always in debugfs. */
void pirn_debug_init(void)
{
	unsigned long cpu;
	struct dentry *dir;
	char name[16];

	pirn_debug_dir = debugfs_create_dir("pirn", NULL);
	debugfs_create_file("channels", 0400, pirn_debug_dir, NULL,
			    &pirn_channels_fops);
	for_each_possible_cpu(cpu) {
		snprintf(name, sizeof(name), "cpu%lu", cpu);
		dir = debugfs_create_dir(name, pirn_debug_dir);
		debugfs_create_file("device_times", 0444, dir, (void *)cpu,
				    &pirn_device_times_fops);
	}
}

void pirn_debug_exit(void)
{
	debugfs_remove(pirn_debug_dir);
}
