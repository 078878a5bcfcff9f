// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module of the tests: how long the only CPU was idle, in
 * /sys/module/pirn_idle/parameters/ns, for kernels that tell it in ticks only.
 * Idle is from the tracepoint before the CPU halts to the interrupt that ends it,
 * so that the interrupt's own work is not in it.
 */
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

static unsigned long long total, since;
module_param_named(ns, total, ullong, 0444);
static bool idle;

static void idle_ends(void)
{
	if (!idle)
		return;
	total += ktime_get_mono_fast_ns() - since;
	idle = false;
}

/* Without a state, which is ~0, the CPU has left idle. */
static void on_cpu_idle(void *data, unsigned int state, unsigned int cpu)
{
	if (state == ~0u) {
		idle_ends();
	} else {
		idle = true;
		since = ktime_get_mono_fast_ns();
	}
}

static void on_vector(void *data, int vector)
{
	idle_ends();
}

struct irqaction;

static void on_irq(void *data, int irq, struct irqaction *action)
{
	idle_ends();
}

static struct probe {
	const char *name;
	void *function;
	struct tracepoint *at;
} probes[] = {
	{ "cpu_idle", on_cpu_idle },
	{ "irq_handler_entry", on_irq },
	{ "local_timer_entry", on_vector },
	{ "reschedule_entry", on_vector },
	{ "irq_work_entry", on_vector },
};

static void match(struct tracepoint *at, void *unused)
{
	for (int i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(at->name, probes[i].name))
			probes[i].at = at;
}

static void unregister(void)
{
	for (int i = 0; i < ARRAY_SIZE(probes); i++)
		if (probes[i].at)
			tracepoint_probe_unregister(probes[i].at,
						    probes[i].function, NULL);
	tracepoint_synchronize_unregister();
}

static int __init pirn_idle_init(void)
{
	int err = 0;

	if (num_online_cpus() != 1)
		return -EINVAL;
	for_each_kernel_tracepoint(match, NULL);
	for (int i = 0; i < ARRAY_SIZE(probes) && !err; i++) {
		if (!probes[i].at) {
			pr_err("no tracepoint %s\n", probes[i].name);
			err = -ENOENT;
		} else {
			err = tracepoint_probe_register(probes[i].at,
							probes[i].function, NULL);
			if (err)
				probes[i].at = NULL;
		}
	}
	if (err)
		unregister();
	return err;
}

static void __exit pirn_idle_exit(void)
{
	unregister();
}

module_init(pirn_idle_init);
module_exit(pirn_idle_exit);
MODULE_DESCRIPTION("How long the only CPU was idle, for tests of pirn");
MODULE_LICENSE("GPL");
