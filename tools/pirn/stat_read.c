// SPDX-License-Identifier: MIT
/* pirn stat: the counters, from sysfs: cpuN/NAME, a number each. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stat.h"

const char *const stat_names[STAT_COUNTERS] = {
	[STAT_SUBMITTED] = "submitted",
	[STAT_COMPLETED] = "completed",
	[STAT_FAILED] = "failed",
	[STAT_BYTES_READ] = "bytes_read",
	[STAT_BYTES_WRITTEN] = "bytes_written",
	[STAT_IN_FLIGHT] = "in_flight",
	[STAT_ENTERS] = "enters",
	[STAT_WAKEUPS] = "wakeups",
	[STAT_REMOTE_COMPLETIONS] = "remote_completions",
	[STAT_WORKER_PUNTS] = "worker_punts",
	[STAT_SLOW_SUBMITS] = "slow_submits",
	[STAT_JOINS] = "joins",
	[STAT_PREEMPTIONS] = "preemptions",
	[STAT_RUN_DELAY_NS] = "run_delay_ns",
};

static int read_counter(uint64_t *value, const char *dir, unsigned int cpu,
			enum stat_counter counter)
{
	const char *name = stat_names[counter];
	char path[512], text[64] = "", *end;
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "%s/cpu%u/%s", dir, cpu, name);
	file = fopen(path, "re");
	if (!file && errno == ENOENT && counter == STAT_RUN_DELAY_NS) {
		*value = STAT_ABSENT;
		return 0;
	}
	if (!file) {
		err = -errno;
		complain("%s: %s", path, strerror(-err));
		return err;
	}
	errno = 0;
	if (!fgets(text, sizeof(text), file) && errno) {
		err = -errno;
		complain("%s: %s", path, strerror(-err));
		fclose(file);
		return err;
	}
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno) {
		complain("%s: '%s' is no counter", path, text);
		return -EIO;
	}
	return 0;
}

/* "cpu12"; -1: the name of something else. */
static long cpu_number(const char *name)
{
	unsigned long cpu;
	char *end;

	if (strncmp(name, "cpu", 3) || name[3] < '0' || name[3] > '9')
		return -1;
	cpu = strtoul(name + 3, &end, 10);
	return *end || cpu > 1 << 20 ? -1 : (long)cpu;
}

static int compare(const void *a, const void *b)
{
	const struct stat_cpu *x = a, *y = b;

	return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static int find_cpus(struct stat_sample *sample, const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		long cpu = cpu_number(entry->d_name);
		struct stat_cpu *cpus;

		if (cpu < 0)
			continue;
		cpus = reallocarray(sample->cpus, sample->count + 1,
				    sizeof(*cpus));
		if (!cpus) {
			closedir(dir);
			return -ENOMEM;
		}
		sample->cpus = cpus;
		cpus[sample->count++] = (struct stat_cpu){
			.cpu = (unsigned int)cpu,
		};
	}
	closedir(dir);
	if (!sample->count)
		return -ENOENT;
	qsort(sample->cpus, sample->count, sizeof(sample->cpus[0]), compare);
	return 0;
}

int stat_read(struct stat_sample *sample, const char *dir)
{
	struct timespec now;
	int err;

	*sample = (struct stat_sample){ 0 };
	err = find_cpus(sample, dir);
	if (err == -ENOENT)
		complain("no CPU in %s: the module pirn is not loaded (modprobe pirn)", dir);
	else if (err)
		complain("%s: %s", dir, strerror(-err));
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->when = (uint64_t)now.tv_sec * 1000000000ull +
		       (uint64_t)now.tv_nsec;
	for (unsigned int i = 0; i < sample->count && !err; i++)
		for (int c = 0; c < STAT_COUNTERS && !err; c++)
			err = read_counter(&sample->cpus[i].value[c], dir,
					   sample->cpus[i].cpu, (enum stat_counter)c);
	return err;
}

void stat_free(struct stat_sample *sample)
{
	free(sample->cpus);
	*sample = (struct stat_sample){ 0 };
}
