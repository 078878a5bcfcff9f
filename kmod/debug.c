// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: beside it.  /sys/kernel/debug/pirn/cpuN/device_times: a histogram of what
 * ops took between ENTER and their end, on the channels of CPU N that have times.
 * One line for each bucket that is not empty: where it begins in nanoseconds, and
 * how many ops are in it.  Called by main.c; stats.c adds up.
 */
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

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

/* What cannot be made is missing, as always in debugfs. */
void pirn_debug_init(void)
{
	unsigned long cpu;
	struct dentry *dir;
	char name[16];

	pirn_debug_dir = debugfs_create_dir("pirn", NULL);
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
