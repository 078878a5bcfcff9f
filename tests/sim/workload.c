// SPDX-License-Identifier: MIT
/*
 * Many fibers on many cores of three nodes, with every fault, crashes and
 * restarts; prints the hash.  tests/sim/builds compares what different builds
 * print.
 */
#include <errno.h>

#include "planted.h"

#define FIBERS 8

static struct pirn_sim *sim;

static int work(void *arg)
{
	struct pirn_file *file = arg;
	char *buf = pirn_buf_alloc(16384);
	unsigned int i;

	for (i = 0; i < 40; i++) {
		uint64_t place = pirn_random() % 200;
		size_t bytes = (1 + pirn_random() % 4) * 4096;

		memset(buf, (int)place + (int)i, bytes);
		pirn_pwrite(file, buf, bytes, place * 4096,
			    place % 5 ? 0 : PIRN_DSYNC);
		pirn_pread(file, buf, 4096, place * 2048);
		if (i % 8 == 7)
			pirn_fsync(file);
		if (place % 3 == 0)
			pirn_sleep(place * 1000);
		/* what was read has to be the same, too */
		if (place % 16 == 0)
			pirn_sim_log(sim, "%d %d", buf[0], buf[4095]);
		pirn_yield();
	}
	return pirn_buf_free(buf);
}

static int work_core(void *arg)
{
	struct pirn_fiber *fiber[FIBERS];
	unsigned int i;

	for (i = 0; i < FIBERS; i++)
		right(pirn_spawn(&fiber[i], work, arg));
	for (i = 0; i < FIBERS; i++)
		right(pirn_join(fiber[i], NULL));
	return 0;
}

struct core_call {
	unsigned int core;
	struct pirn_file *file;
};

static int call(void *arg)
{
	struct core_call *c = arg;

	return pirn_call(c->core, work_core, c->file, NULL);
}

static int life(void *arg)
{
	unsigned int i, cores = (unsigned int)pirn_core_count();
	struct core_call calls[16];
	struct pirn_fiber *fiber[16];
	struct pirn_file *file;

	right(pirn_open(&file, "data", O_RDWR | O_CREAT, 0600));
	for (i = 0; i < cores && i < 16; i++) {
		calls[i] = (struct core_call){ i, file };
		right(pirn_spawn(&fiber[i], call, &calls[i]));
	}
	pirn_rename("data", "renamed");
	pirn_sync_dir(".");
	pirn_rename("renamed", "data");
	for (i = 0; i < cores && i < 16; i++)
		right(pirn_join(fiber[i], NULL));
	(void)arg;
	return 0;
}

int main(void)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	struct pirn_sim_counts counts = { .size = sizeof(counts) };
	unsigned int i, round;

	if (pirn_sim_options_env(&opt, NULL, 0) == -EINVAL)
		return 2;
	opt.cores = 8;
	for (i = 0; i < PIRN_SIM_FAULTS; i++)
		if (!opt.fault[i].rate)
			opt.fault[i].rate = i == PIRN_SIM_HANG ? 100 : 20000;
	right(pirn_sim_create(&sim, &opt, NULL, 0));
	for (round = 0; round < 4; round++) {
		for (i = 0; i < 3; i++)
			pirn_sim_start(sim, i, NULL, life, NULL);
		right(pirn_sim_run(sim, pirn_sim_now(sim) +
				   pirn_sim_random(sim) % 8000000));
		pirn_sim_crash(sim, (unsigned int)(pirn_sim_random(sim) % 3));
		pirn_sim_run(sim, pirn_sim_now(sim) +
			     pirn_sim_random(sim) % 8000000);
	}
	right(pirn_sim_run(sim, PIRN_NEVER));
	right(pirn_sim_counts(sim, &counts));
	printf("%016llx %llu events %llu reads %llu writes\n",
	       (unsigned long long)pirn_sim_hash(sim),
	       (unsigned long long)counts.events,
	       (unsigned long long)counts.reads,
	       (unsigned long long)counts.writes);
	pirn_sim_destroy(sim);
	return 0;
}
