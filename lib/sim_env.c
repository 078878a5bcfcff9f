// SPDX-License-Identifier: MIT
/*
 * A plain pirn_run() in a simulated world, with the options of PIRN_SIM.
 *
 * The runs of a process share a world, one after the other, with its disks and
 * its time: as they would on a machine.  Two at the same time, in two threads,
 * have a world each.
 */
#include <stdlib.h>

#include "sim.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pirn_sim *kept;

bool pirn_sim_wanted(void)
{
	return secure_getenv("PIRN_SIM");
}

static int env_options(struct pirn_sim_options *opt, char *why,
		       size_t why_bytes)
{
	int err;

	*opt = (struct pirn_sim_options)PIRN_SIM_OPTIONS_INIT;
	opt->import = 1;
	err = pirn_sim_options_env(opt, why, why_bytes);
	if (err == -ENOENT)
		err = 0;
	return err ? err : sim_options_check(opt, why, why_bytes);
}

int sim_env_cpus(struct pirn_runtime *rt, int *cpus, unsigned int max,
		 char *why, size_t why_bytes)
{
	struct pirn_sim_options opt;
	uint32_t cores;
	int err;

	if (rt->opt.cpus)
		return pirn_cpus_parse(rt->opt.cpus, cpus, max, true, why,
				       why_bytes);
	if (rt->world) {
		cores = ((struct sim_node *)rt->world)->sim->opt.cores;
	} else {
		err = env_options(&opt, why, why_bytes);
		if (err)
			return err;
		cores = opt.cores;
	}
	for (uint32_t i = 0; i < cores; i++)
		cpus[i] = (int)i;
	return (int)cores;
}

static int world_get(struct pirn_sim **sim, char *why, size_t why_bytes)
{
	struct pirn_sim_options opt;
	int err;

	pthread_mutex_lock(&lock);
	*sim = kept;
	if (kept)
		kept = kept->next;
	pthread_mutex_unlock(&lock);
	if (*sim)
		return 0;
	err = env_options(&opt, why, why_bytes);
	return err ? err : pirn_sim_create(sim, &opt, why, why_bytes);
}

static void world_put(struct pirn_sim *sim)
{
	pthread_mutex_lock(&lock);
	sim->next = kept;
	kept = sim;
	pthread_mutex_unlock(&lock);
}

int sim_env_run(struct pirn_runtime *rt, char *why, size_t why_bytes)
{
	struct pirn_sim *sim;
	struct sim_node *node = NULL;
	int err = world_get(&sim, why, why_bytes);

	if (err)
		return err;
	err = sim_node_get(sim, 0, &node);
	if (!err)
		err = sim_node_start(node, rt, why, why_bytes);
	if (!err) {
		err = pirn_sim_run(sim, PIRN_NEVER);
		if (err)
			fprintf(stderr, "%s\n", pirn_sim_message(sim));
		snprintf(why, why_bytes, "%s", pirn_sim_message(sim));
	}
	if (err) {
		/* The world is as it broke down. */
		pirn_sim_destroy(sim);
		return err;
	}
	if (sim->report)
		sim_report_update(sim);
	world_put(sim);
	return 0;
}
