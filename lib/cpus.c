// SPDX-License-Identifier: MIT
/* Which CPUs this process may run on, and which of them were asked for. */
#include <sched.h>
#include <stdlib.h>

#include "lib.h"

static int refuse(char *why, size_t why_bytes, const char *list,
		  const char *what)
{
	snprintf(why, why_bytes,
		 "cpus \"%s\": %s; give numbers and ranges, as in 0-3,8", list,
		 what);
	return -EINVAL;
}

/* One number, at most 2^20; moves *at behind it. */
static int number(const char **at)
{
	long n = 0;

	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		n = n * 10 + (**at - '0');
		if (n > 1 << 20)
			return -1;
	}
	return (int)n;
}

static int allowed_set(cpu_set_t **set, size_t *bytes)
{
	/* The kernel says how large its mask is by refusing smaller ones. */
	for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
		*set = CPU_ALLOC(cpus);
		*bytes = CPU_ALLOC_SIZE(cpus);
		if (!*set)
			return -ENOMEM;
		if (!sched_getaffinity(0, *bytes, *set))
			return cpus;
		CPU_FREE(*set);
		if (errno != EINVAL)
			return -errno;
	}
	return -EINVAL;
}

struct chosen {
	int *cpus;
	unsigned int count;
	unsigned int max;
};

static const char *add(struct chosen *chosen, int cpu)
{
	if (chosen->count == chosen->max)
		return "too many CPUs";
	chosen->cpus[chosen->count++] = cpu;
	return NULL;
}

static const char *parse(const char *list, struct chosen *chosen,
			 const cpu_set_t *set, size_t bytes, int set_cpus)
{
	const char *at = list, *wrong;

	do {
		int first = number(&at), last = first;

		if (first < 0)
			return "not a number";
		if (*at == '-') {
			at++;
			last = number(&at);
			if (last < first)
				return "a range must go up";
		}
		for (int cpu = first; cpu <= last; cpu++) {
			if (set && (cpu >= set_cpus ||
				    !CPU_ISSET_S(cpu, bytes, set)))
				return "this process may not run on one of them, or it is offline";
			wrong = add(chosen, cpu);
			if (wrong)
				return wrong;
		}
	} while (*at == ',' && *++at);
	return *at || at[-1] == ',' ? "not a number" : NULL;
}

int pirn_cpus_parse(const char *list, int *cpus, unsigned int max, bool any,
		    char *why, size_t why_bytes)
{
	struct chosen chosen = { .cpus = cpus, .max = max };
	const char *wrong = NULL;
	cpu_set_t *set;
	size_t bytes;
	int set_cpus = allowed_set(&set, &bytes);

	if (set_cpus < 0) {
		snprintf(why, why_bytes, "sched_getaffinity: %s",
			 strerror(-set_cpus));
		return set_cpus;
	}
	if (list)
		wrong = parse(list, &chosen, any ? NULL : set, bytes, set_cpus);
	else
		for (int cpu = 0; cpu < set_cpus && chosen.count < max; cpu++)
			if (CPU_ISSET_S(cpu, bytes, set))
				add(&chosen, cpu);
	CPU_FREE(set);
	if (wrong)
		return refuse(why, why_bytes, list, wrong);
	return (int)chosen.count;
}
