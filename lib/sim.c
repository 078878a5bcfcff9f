// SPDX-License-Identifier: MIT
/*
 * The simulated world and its nodes.
 *
 * One loop takes the least event of all and does it: a core's turn, or a step of
 * an op.  Nothing else makes time go on.  Everything random comes from sequences
 * that start from the seed, one for each purpose.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "sanitizer.h"
#include "scope.h"
#include "sim.h"

int sim_error(struct pirn_sim *sim, int err, const char *format, ...)
{
	va_list args;

	free(sim->message);
	va_start(args, format);
	if (vasprintf(&sim->message, format, args) < 0)
		sim->message = NULL;
	va_end(args);
	return err;
}

/* ------------------------------------------------------------------ nodes */

int sim_node_get(struct pirn_sim *sim, unsigned int number,
		 struct sim_node **out)
{
	struct sim_node *node;

	if (number >= SIM_NODES)
		return sim_error(sim, -EINVAL, "node %u is not from 0 to %u",
				 number, SIM_NODES - 1);
	node = sim->node[number];
	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node)
			return sim_error(sim, -ENOMEM, "no memory for a node");
		node->sim = sim;
		node->number = number;
		sim->node[number] = node;
	}
	*out = node;
	return 0;
}

/* The runtime goes; what its fibers held of it with it. */
static void node_stop(struct sim_node *node, uint32_t cores)
{
	struct pirn_runtime *rt = node->rt;

	sim_node_quiet(node);
	pirn_runtime_close_files(rt);
	for (uint32_t i = 0; i < cores; i++) {
		rt->core[i]->live = false;
		pirn_core_stop(rt->core[i]);
	}
	if (node->own) {
		pirn_runtime_dispose(node->own);
		free(node->own);
		node->own = NULL;
	}
	node->rt = NULL;
	node->in_flight = 0;
	node->hung_until = 0;
	node->crash = false;
}

int sim_node_start(struct sim_node *node, struct pirn_runtime *rt, char *why,
		   size_t why_bytes)
{
	struct pirn_sim *sim = node->sim;
	uint32_t i;
	int err = 0;

	node->rt = rt;
	rt->world = node;
	for (i = 0; i < rt->cores && !err; i++)
		err = pirn_core_start(rt->core[i], why, why_bytes);
	pirn_this_core = NULL;
	if (err) {
		node_stop(node, i);
		return err;
	}
	node->state = SIM_RUNS;
	node->starts++;
	sim->live++;
	for (i = 0; i < rt->cores; i++) {
		struct sim_core *sc = rt->core[i]->backend;

		sc->not_before = 0;
		sim_core_wake(sc, sim->now +
			      sim_between(&sim->schedule, sim->opt.wake_min_ns,
					  sim->opt.wake_max_ns));
	}
	sim_mix(sim, (uint64_t)node->number << 32 | rt->cores);
	sim_log(sim, node, -1, "start: %u cores", rt->cores);
	return 0;
}

void sim_node_done(struct sim_node *node)
{
	struct pirn_sim *sim = node->sim;

	node->result = node->rt->main_result;
	sim_mix(sim, (uint64_t)(uint32_t)node->result);
	sim_log(sim, node, -1, "end: result %d", node->result);
	for (uint32_t i = 0; i < node->rt->cores; i++)
		pirn_left_drop(node->rt->core[i]);
	node_stop(node, node->rt->cores);
	node->state = SIM_ENDED;
	sim->live--;
}

static void node_crash(struct sim_node *node)
{
	struct pirn_sim *sim = node->sim;

	sim_mix(sim, sim->now);
	sim_mix(sim, node->number);
	sim_log(sim, node, -1, "crash");
	sim->counts.crashes++;
	if (node->rt) {
		node_stop(node, node->rt->cores);
		node->state = SIM_CRASHED;
		sim->live--;
	}
	sim_data_crash(node);
	sim_names_crash(node);
}

/*
 * The main fiber has returned.  Other cores may be in a turn at that moment;
 * then the ops under way come to their end.
 */
static void node_ending(struct sim_node *node)
{
	struct pirn_sim *sim = node->sim;
	struct pirn_runtime *rt = node->rt;

	for (uint32_t i = 1; i < rt->cores && !node->crash; i++) {
		struct sim_core *sc = rt->core[i]->backend;

		if (sc->turn.place && sim_next(&sim->schedule) & 1)
			pirn_core_turn(rt->core[i]);
	}
	pirn_this_core = NULL;	/* what is told or dropped now calls nothing */
	if (node->crash)
		return;
	node->state = SIM_ENDING;
	for (uint32_t i = 0; i < rt->cores; i++) {
		struct sim_core *sc = rt->core[i]->backend;

		if (sc->turn.place)
			sim_event_remove(sim, &sc->turn);
		sim_core_submit(sc);
		pirn_left_report(rt->core[i]);
	}
	if (!node->in_flight)
		sim_node_done(node);
}

/* ------------------------------------------------------------------ world */

bool sim_fault_taken(struct pirn_sim *sim, enum pirn_sim_fault fault,
		     const struct sim_node *node)
{
	const struct pirn_sim_rate *rate = &sim->opt.fault[fault];
	uint64_t *injected = &sim->counts.injected[fault];

	if ((rate->most && *injected >= rate->most) ||
	    sim_below(&sim->chance[fault], SIM_MILLION) >= rate->rate)
		return false;
	++*injected;
	sim_mix(sim, fault);
	sim_log(sim, node, -1, "fault: %s", pirn_sim_fault_name(fault));
	return true;
}

static void turn(struct sim_core *sc)
{
	struct sim_node *node = sc->node;

	sim_core_turn(sc);
	if (!node->crash && pirn_stopping(node->rt))
		node_ending(node);
	pirn_this_core = NULL;
	if (node->crash)
		node_crash(node);
}

static void io_step(struct sim_io *io, bool last)
{
	struct sim_node *node = sim_node_of(io->core);

	if (last)
		sim_io_complete(io);
	else
		sim_io_capture(io);
	if (node->state == SIM_ENDING && !node->in_flight)
		sim_node_done(node);
}

static void event_do(struct sim_event *event)
{
	switch (event->kind) {
	case SIM_TURN:
		turn(container_of(event, struct sim_core, turn));
		break;
	case SIM_CAPTURE:
		io_step(container_of(event, struct sim_io, event), false);
		break;
	default:
		io_step(container_of(event, struct sim_io, event), true);
		break;
	}
}

static int limit_reached(struct pirn_sim *sim, uint64_t time)
{
	if (time - SIM_BEGIN > sim->opt.limit_ns)
		return sim_error(sim, -ETIMEDOUT,
				 "the limit of virtual time (%llu ns) is reached and %u nodes run still",
				 (unsigned long long)sim->opt.limit_ns,
				 sim->live);
	if (sim->counts.events >= sim->opt.limit_events)
		return sim_error(sim, -ETIMEDOUT,
				 "the limit of events (%llu) is reached and %u nodes run still",
				 (unsigned long long)sim->opt.limit_events,
				 sim->live);
	return 0;
}

/* What pirn_sim_run() returns, or nothing yet: 3. */
static int step(struct pirn_sim *sim, uint64_t until)
{
	struct sim_event *event;
	uint64_t time;
	int err;

	if (sim->crashed) {
		sim->crashed = false;
		return PIRN_SIM_CRASHED;
	}
	if (!sim->live)
		return PIRN_SIM_ENDED;
	if (!sim->heap.count && until == PIRN_NEVER)
		return sim_dead(sim);
	time = sim->heap.count ? sim->heap.entry[1].time : UINT64_MAX;
	if (time < sim->now)
		time = sim->now;
	if (time >= until) {
		if (sim->now < until)
			sim->now = until;
		return PIRN_SIM_TIME;
	}
	err = limit_reached(sim, time);
	if (err)
		return err;
	sim->now = time;
	event = sim->heap.entry[1].event;
	sim_event_remove(sim, event);
	sim->counts.events++;
	event_do(event);
	if (unlikely(sim->report))
		sim_report_update(sim);
	return 3;
}

static void sequences_start(struct pirn_sim *sim)
{
	uint64_t state = sim->opt.seed;

	sim->hash = sim_next(&state);
	sim->schedule = sim_next(&state);
	sim->disk = sim_next(&state);
	sim->scenario = sim_next(&state);
	for (unsigned int i = 0; i < PIRN_SIM_FAULTS; i++)
		sim->chance[i] = sim_next(&state);
}

/* ---------------------------------------------------------------- public */

int pirn_sim_create(struct pirn_sim **out, const struct pirn_sim_options *opt,
		    char *why, size_t why_bytes)
{
	struct pirn_sim *sim;
	char unused[1];
	int err;

	if (!why || !why_bytes) {
		why = unused;
		why_bytes = sizeof(unused);
	}
	why[0] = '\0';
	if (!out)
		return -EINVAL;
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return -ENOMEM;
	err = sim_options_copy(&sim->opt, opt, why, why_bytes);
	if (!err)
		err = sim_options_check(&sim->opt, why, why_bytes);
	if (!err)
		err = sim_heap_reserve(&sim->heap, 64);
	if (!err) {
		sim->now = SIM_BEGIN;
		sequences_start(sim);
		err = sim_log_open(sim, why, why_bytes);
	}
	if (err) {
		pirn_sim_destroy(sim);
		return err;
	}
	*out = sim;
	return 0;
}

void pirn_sim_destroy(struct pirn_sim *sim)
{
	if (!sim)
		return;
	sim_log_close(sim);
	for (uint32_t i = 0; i < SIM_NODES; i++) {
		struct sim_node *node = sim->node[i];

		if (!node)
			continue;
		if (node->rt)
			node_stop(node, node->rt->cores);
		sim_names_free(node);
		free(node);
	}
	sim_data_free(sim);
	free(sim->heap.entry);
	free(sim->message);
	free(sim);
}

int pirn_sim_disk(struct pirn_sim *sim, unsigned int number, const char *path,
		  uint64_t bytes, uint32_t block_bytes)
{
	struct sim_node *node = NULL;
	int err = sim_node_get(sim, number, &node);

	if (err)
		return err;
	if (!path || !*path || !bytes || bytes > SIM_MAX_FILE ||
	    (block_bytes != 512 && block_bytes != 4096) || bytes % block_bytes)
		return sim_error(sim, -EINVAL,
				 "a disk has a path, blocks of 512 or 4096 bytes, and some of them, to 16 TiB");
	err = sim_names_disk(node, path, bytes, block_bytes);
	return err ? sim_error(sim, err, "%s: %s", path, strerror(-err)) : 0;
}

int pirn_sim_start(struct pirn_sim *sim, unsigned int number,
		   const struct pirn_options *opt, int (*fn)(void *arg),
		   void *arg)
{
	struct pirn_runtime *rt;
	struct sim_node *node = NULL;
	char why[256] = "";
	int err;

	if (pirn_this_core)
		return sim_error(sim, -EDEADLK,
				 "pirn_sim_start() was called on a core of a runtime");
	err = sim_node_get(sim, number, &node);
	if (err)
		return err;
	if (node->rt)
		return sim_error(sim, -EBUSY, "node %u runs already", number);
	if (!fn)
		return sim_error(sim, -EINVAL, "pirn_sim_start: fn is NULL");
	rt = calloc(1, sizeof(*rt));
	if (!rt)
		return sim_error(sim, -ENOMEM, "no memory for a runtime");
	rt->main_fn = fn;
	rt->main_arg = arg;
	rt->ops = &pirn_sim_ops;
	rt->world = node;
	node->own = rt;
	err = pirn_runtime_prepare(rt, opt, why, sizeof(why));
	if (err) {
		pirn_runtime_dispose(rt);
		free(rt);
		node->own = NULL;
	} else {
		err = sim_node_start(node, rt, why, sizeof(why));
	}
	return err ? sim_error(sim, err, "node %u: %s", number,
			       why[0] ? why : strerror(-err)) : 0;
}

int pirn_sim_run(struct pirn_sim *sim, uint64_t until)
{
	struct pirn_region below = { NULL, 0 };
	int err;

	if (pirn_this_core)
		return sim_error(sim, -EDEADLK,
				 "pirn_sim_run() was called on a core of a runtime");
	san_thread_below(__builtin_frame_address(0), &below);
	do
		err = step(sim, until);
	while (err == 3);
	san_thread_below(NULL, &below);
	return err;
}

int pirn_sim_result(struct pirn_sim *sim, unsigned int number, int *result)
{
	const struct sim_node *node = number < SIM_NODES ? sim->node[number] :
							   NULL;

	if (!node || node->state == SIM_NEVER)
		return sim_error(sim, -ENOENT, "node %u was never started",
				 number);
	if (node->state == SIM_CRASHED)
		return sim_error(sim, -ECANCELED, "node %u crashed", number);
	if (node->state != SIM_ENDED)
		return sim_error(sim, -EAGAIN, "node %u runs", number);
	if (result)
		*result = node->result;
	return 0;
}

int pirn_sim_crash(struct pirn_sim *sim, unsigned int number)
{
	struct pirn_core *core = pirn_this();
	struct sim_node *node;

	node = number < SIM_NODES ? sim->node[number] : NULL;
	if (!node)
		return sim_error(sim, -EINVAL, "there is no node %u", number);
	if (!core || core->rt != node->rt) {
		node_crash(node);
		return 0;
	}
	node->crash = true;
	sim->crashed = true;
	core->budget = 0;	/* nobody else runs in this turn */
	return 0;
}

uint64_t pirn_sim_now(const struct pirn_sim *sim)
{
	return sim->now;
}

uint64_t pirn_sim_random(struct pirn_sim *sim)
{
	return sim_next(&sim->scenario);
}

uint64_t pirn_sim_hash(const struct pirn_sim *sim)
{
	return sim->hash;
}

const char *pirn_sim_message(const struct pirn_sim *sim)
{
	return sim->message ? sim->message : "";
}

int pirn_sim_counts(const struct pirn_sim *sim, struct pirn_sim_counts *counts)
{
	struct pirn_sim_counts now = sim->counts;
	size_t size;

	if (!counts || counts->size < sizeof(counts->size))
		return -EINVAL;
	size = counts->size < sizeof(now) ? counts->size : sizeof(now);
	for (uint32_t i = 0; i < SIM_NODES; i++)
		if (sim->node[i])
			now.unsynced += sim->node[i]->unsynced;
	now.size = size;
	memcpy(counts, &now, size);
	return 0;
}
