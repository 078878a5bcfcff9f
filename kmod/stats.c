// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: beside it.  /sys/class/misc/pirn/cpuN/, what the channels of each CPU
 * have done; the attributes are described in sysfs-class-misc-pirn.  Called by
 * main.c, and by channel.c when a channel comes and goes.
 *
 * The data path counts in the channel, under the lock it holds anyway.  A
 * reader adds up the channels of a CPU that are alive and what those left that
 * are not, so nothing is lost when a channel is closed or a CPU goes offline.  What
 * they left is in memory of the module: none that their users were charged for.
 */
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "pirn.h"

struct pirn_stat {
	const char	*name;
	size_t		offset;		/* in struct pirn_counters */
};

#define PIRN_STAT(field) { #field, offsetof(struct pirn_counters, field) }

static const struct pirn_stat pirn_stats[] = {
	PIRN_STAT(submitted),
	PIRN_STAT(completed),
	PIRN_STAT(failed),
	PIRN_STAT(bytes_read),
	PIRN_STAT(bytes_written),
	PIRN_STAT(in_flight),
	PIRN_STAT(enters),
	PIRN_STAT(wakeups),
	PIRN_STAT(remote_completions),
	PIRN_STAT(worker_punts),
	PIRN_STAT(slow_submits),
	PIRN_STAT(joins),
	PIRN_STAT(preemptions),
#ifdef CONFIG_SCHED_INFO
	PIRN_STAT(run_delay_ns),
#endif
};

#define PIRN_NR_STATS ARRAY_SIZE(pirn_stats)

struct pirn_stat_attr {
	struct device_attribute	attr;
	u32			cpu;
	size_t			offset;
};

struct pirn_cpu_stats {
	struct list_head	channels;
	struct pirn_counters	closed;		/* of channels that are gone */
	u64			closed_times[PIRN_HISTOGRAM_BUCKETS];	/* of these */
	char			name[16];
	struct attribute_group	group;
	struct pirn_stat_attr	attrs[PIRN_NR_STATS];
	struct attribute	*list[PIRN_NR_STATS + 1];
};

/* Protects the lists and closed. */
static DEFINE_MUTEX(pirn_stats_mutex);

static struct pirn_cpu_stats *pirn_cpu_stats;	/* by CPU number */
const struct attribute_group **pirn_stats_groups;

static u64 pirn_stat_value(const struct pirn_counters *c, size_t offset)
{
	return *(const u64 *)((const void *)c + offset);
}

static struct pirn_counters pirn_stats_of(struct pirn_channel *ch)
{
	struct pirn_counters counters;

	spin_lock_irq(&ch->lock);
	counters = ch->counters;
	counters.in_flight = ch->in_flight - ch->join_entries;
	spin_unlock_irq(&ch->lock);
	return counters;
}

static ssize_t pirn_stat_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct pirn_stat_attr *a =
		container_of(attr, struct pirn_stat_attr, attr);
	struct pirn_cpu_stats *cpu = &pirn_cpu_stats[a->cpu];
	struct pirn_counters counters;
	struct pirn_channel *ch;
	u64 sum;

	mutex_lock(&pirn_stats_mutex);
	sum = pirn_stat_value(&cpu->closed, a->offset);
	list_for_each_entry(ch, &cpu->channels, stats_link) {
		counters = pirn_stats_of(ch);
		sum += pirn_stat_value(&counters, a->offset);
	}
	mutex_unlock(&pirn_stats_mutex);
	return sysfs_emit(buf, "%llu\n", sum);
}

static void pirn_times_add(u64 *sum, const u64 *times)
{
	u32 i;

	for (i = 0; i < PIRN_HISTOGRAM_BUCKETS; i++)
		sum[i] += READ_ONCE(times[i]);
}

/*
 * Without the channels' locks, which would keep completions out for as long: a
 * count that is just being made may be missing.
 */
void pirn_stats_device_times(u32 nr, u64 *sum)
{
	struct pirn_cpu_stats *cpu = &pirn_cpu_stats[nr];
	struct pirn_channel *ch;

	mutex_lock(&pirn_stats_mutex);
	pirn_times_add(sum, cpu->closed_times);
	list_for_each_entry(ch, &cpu->channels, stats_link)
		if (ch->histogram)
			pirn_times_add(sum, ch->histogram);
	mutex_unlock(&pirn_stats_mutex);
}

/* Each channel that there is, those that are closed and wait for a device, too. */
void pirn_stats_each_channel(void (*show)(struct seq_file *m,
					  struct pirn_channel *ch),
			     struct seq_file *m)
{
	struct pirn_channel *ch;
	unsigned int cpu;

	mutex_lock(&pirn_stats_mutex);
	for_each_possible_cpu(cpu)
		list_for_each_entry(ch, &pirn_cpu_stats[cpu].channels, stats_link)
			show(m, ch);
	mutex_unlock(&pirn_stats_mutex);
}

void pirn_stats_add(struct pirn_channel *ch)
{
	mutex_lock(&pirn_stats_mutex);
	list_add_tail(&ch->stats_link, &pirn_cpu_stats[ch->cpu].channels);
	mutex_unlock(&pirn_stats_mutex);
}

/* Called when nothing is in flight: what the channel did stays. */
void pirn_stats_remove(struct pirn_channel *ch)
{
	struct pirn_cpu_stats *cpu = &pirn_cpu_stats[ch->cpu];
	struct pirn_counters counters;
	unsigned int i;

	mutex_lock(&pirn_stats_mutex);
	list_del(&ch->stats_link);
	counters = pirn_stats_of(ch);
	for (i = 0; i < PIRN_NR_STATS; i++) {
		u64 *sum = (void *)&cpu->closed + pirn_stats[i].offset;

		*sum += pirn_stat_value(&counters, pirn_stats[i].offset);
	}
	if (ch->histogram)
		pirn_times_add(cpu->closed_times, ch->histogram);
	mutex_unlock(&pirn_stats_mutex);
}

static void pirn_stats_init_cpu(u32 nr)
{
	struct pirn_cpu_stats *cpu = &pirn_cpu_stats[nr];
	struct pirn_stat_attr *a;
	unsigned int i;

	INIT_LIST_HEAD(&cpu->channels);
	snprintf(cpu->name, sizeof(cpu->name), "cpu%u", nr);
	for (i = 0; i < PIRN_NR_STATS; i++) {
		a = &cpu->attrs[i];
		sysfs_attr_init(&a->attr.attr);
		a->attr.attr.name = pirn_stats[i].name;
		a->attr.attr.mode = 0444;
		a->attr.show = pirn_stat_show;
		a->cpu = nr;
		a->offset = pirn_stats[i].offset;
		cpu->list[i] = &a->attr.attr;
	}
	cpu->group.name = cpu->name;
	cpu->group.attrs = cpu->list;
}

/* One group for each possible CPU, whether it is there now or comes later. */
int pirn_stats_init(void)
{
	unsigned int cpu, nr = 0;

	pirn_cpu_stats = kvcalloc(nr_cpu_ids, sizeof(*pirn_cpu_stats),
				  GFP_KERNEL);
	pirn_stats_groups = kcalloc(num_possible_cpus() + 1,
				    sizeof(*pirn_stats_groups), GFP_KERNEL);
	if (!pirn_cpu_stats || !pirn_stats_groups) {
		pirn_stats_exit();
		return -ENOMEM;
	}
	for_each_possible_cpu(cpu) {
		pirn_stats_init_cpu(cpu);
		pirn_stats_groups[nr++] = &pirn_cpu_stats[cpu].group;
	}
	return 0;
}

void pirn_stats_exit(void)
{
	kfree(pirn_stats_groups);
	kvfree(pirn_cpu_stats);
}
