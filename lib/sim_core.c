// SPDX-License-Identifier: MIT
/*
 * Backend sim: what a core takes from the simulated world.
 *
 * A core's turn happens at one instant; what it costs is when the next may be.
 * A core with nothing to do announces its sleep and looks again as host.c does,
 * and then has no turn until an op completes, a core wakes it, or its next timer
 * is due.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "mailbox.h"
#include "sim.h"
#include "schedule.h"

static inline struct sim_core *sim_core_of(const struct pirn_core *core)
{
	return core->backend;
}

/* ------------------------------------------------------------ start, stop */

static int sim_probe(char *why, size_t why_bytes)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	int err = pirn_sim_options_env(&opt, why, why_bytes);

	return err == -ENOENT ? 0 : err;
}

static int sim_core_start(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct sim_node *node = sim_node_of(core);
	uint32_t depth = core->rt->opt.io_depth;
	struct sim_core *sc = calloc(1, sizeof(*sc));

	if (!sc)
		return -ENOMEM;
	sc->core = core;
	sc->node = node;
	/* One for each fiber that waits for a name comes from the same table. */
	sc->io = calloc(depth, sizeof(*sc->io));
	if (!sc->io || sim_heap_reserve(&node->sim->heap, depth + 1)) {
		snprintf(why, why_bytes, "no memory for %u ops", depth);
		free(sc->io);
		free(sc);
		return -ENOMEM;
	}
	for (uint32_t i = depth; i-- > 0;) {
		sc->io[i].next = sc->free;
		sc->io[i].core = core;
		sc->free = &sc->io[i];
	}
	core->backend = sc;
	return 0;
}

static void sim_core_stop(struct pirn_core *core)
{
	struct sim_core *sc = sim_core_of(core);

	if (!sc)
		return;
	sim_heap_release(&sc->node->sim->heap, core->rt->opt.io_depth + 1);
	free(sc->io);
	free(sc);
	core->backend = NULL;
}

/* A piece of the pool is aligned as pirn_buf_alloc() says when its base is. */
static int sim_pool_map(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct pirn_pool *pool = &core->pool;
	size_t bytes = core->rt->opt.pool_bytes;
	uintptr_t at;

	pool->map_bytes = bytes + PIRN_HUGE;
	pool->map_base = mmap(NULL, pool->map_bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
	if (pool->map_base == MAP_FAILED) {
		int err = -errno;

		snprintf(why, why_bytes, "no memory for a pool of %zu KiB: %s",
			 bytes >> 10, strerror(-err));
		return err;
	}
	at = ((uintptr_t)pool->map_base + PIRN_HUGE - 1) &
	     ~(uintptr_t)(PIRN_HUGE - 1);
	madvise(pool->map_base, pool->map_bytes, MADV_DONTFORK);
	pool->base = (char *)at;
	pool->bytes = bytes;
	return 0;
}

static void sim_pool_unmap(struct pirn_pool *pool)
{
	munmap(pool->map_base, pool->map_bytes);
}

static int sim_pool_attach(struct pirn_core *core, struct pirn_pool *pool)
{
	(void)core;
	(void)pool;
	return 0;
}

static int sim_file_attach(struct pirn_core *core, struct pirn_file *file)
{
	(void)core;
	(void)file;
	return 0;
}

static void sim_file_detach(struct pirn_core *core, int slot)
{
	(void)core;
	(void)slot;
}

/* ------------------------------------------------------------------- path */

static struct sim_io *io_get(struct sim_core *sc)
{
	struct sim_io *io = sc->free;

	if (io)
		sc->free = io->next;
	return io;
}

static bool sim_queue(struct pirn_core *core, struct pirn_op *op)
{
	struct sim_core *sc = sim_core_of(core);
	struct sim_io *io = io_get(sc);

	if (!io)
		return false;
	io->op = op;
	io->file = (struct sim_file *)op->file->handle;
	io->kind = op->kind;
	io->offset = op->offset;
	io->bytes = op->kind <= PIRN_IO_WRITE ? op->bytes : op->range;
	io->mode = op->kind <= PIRN_IO_WRITE ? 0 : (uint8_t)op->mode;
	io->dsync = op->kind == PIRN_IO_WRITE && op->dsync;
	io->next = NULL;
	*(sc->queued ? &sc->queued_last->next : &sc->queued) = io;
	sc->queued_last = io;
	core->queued++;
	return true;
}

void sim_core_submit(struct sim_core *sc)
{
	struct sim_io *io;

	while ((io = sc->queued)) {
		sc->queued = io->next;
		sim_io_submit(io);
	}
	sc->core->queued = 0;
}

static void sim_enter(struct pirn_core *core, bool wait, uint64_t deadline)
{
	(void)wait;		/* a core sleeps by having no turn */
	(void)deadline;
	core->stats.enters++;
	sim_core_submit(sim_core_of(core));
}

static bool sim_ready(struct pirn_core *core)
{
	return sim_core_of(core)->completed;
}

static void sim_reap(struct pirn_core *core)
{
	struct sim_core *sc = sim_core_of(core);
	struct sim_io *io;

	while ((io = sc->completed)) {
		sc->completed = io->next;
		io->next = sc->free;
		sc->free = io;
		pirn_op_complete(core, io->op, io->result);
	}
}

/*
 * What names a path takes time too.  It is an op without a file; there is
 * nothing to wait for when the table is full, and no time passes then.
 */
void sim_core_delay(struct pirn_core *core)
{
	struct pirn_op op = { .fiber = core->current };
	struct sim_core *sc = sim_core_of(core);
	struct sim_io *io = io_get(sc);

	if (!io)
		return;
	io->op = &op;
	io->file = NULL;
	io->kind = SIM_IO_NAME;
	io->offset = 0;
	io->bytes = 0;
	io->mode = 0;
	io->dsync = false;
	core->in_flight++;
	sim_io_submit(io);
	core->current->doing = "a call that names a path";
	pirn_fiber_stop(core);
}

/* ----------------------------------------------------------------- clocks */

/* Each reading moves it, for all: no core sees a time that another has passed. */
static uint64_t sim_now(struct pirn_core *core)
{
	struct pirn_sim *sim = sim_node_of(core)->sim;

	sim->now += sim->opt.clock_ns;
	return sim->now;
}

static uint64_t sim_seed(struct pirn_core *core)
{
	return sim_next(&sim_node_of(core)->sim->schedule);
}

/* ------------------------------------------------------------------ turns */

#define WINDOW	16u

/* Whether @fiber may run before one that was made runnable earlier. */
static bool may_pass(const struct pirn_fiber *fiber,
		     const struct pirn_fiber *earlier)
{
	return fiber->came == PIRN_CAME ||
	       (fiber->came == PIRN_CAME_IN_ORDER &&
		(earlier->came != PIRN_CAME_IN_ORDER ||
		 fiber->came_of != earlier->came_of));
}

/* One of the first of the list, that may pass all before it. */
static uint32_t pick(uint64_t *state, struct pirn_fiber **fiber, uint32_t n)
{
	uint32_t chosen = (uint32_t)sim_below(state, n);

	for (uint32_t i = 0; i < chosen; i++)
		if (!may_pass(fiber[chosen], fiber[i]))
			return 0;
	return chosen;
}

/* As many as a turn may run, in another order. */
static void shuffle(struct pirn_core *core, uint64_t *state)
{
	struct pirn_fiber *window[WINDOW], *rest = core->runnable.head;
	struct pirn_queue out = { NULL, NULL };
	uint32_t n = 0, moved = 0;

	while (rest || n) {
		uint32_t i;

		while (n < WINDOW && rest) {
			window[n++] = rest;
			rest = rest->next;
		}
		if (moved++ == PIRN_TURN_SWITCHES)
			break;
		i = pick(state, window, n);
		pirn_queue_push(&out, window[i]);
		n--;
		memmove(&window[i], &window[i + 1],
			(n - i) * sizeof(window[0]));
	}
	/* What is left keeps its order: the window, then the rest. */
	for (uint32_t i = 0; i < n; i++)
		pirn_queue_push(&out, window[i]);
	if (rest) {
		out.tail->next = rest;
		out.tail = core->runnable.tail;
	}
	core->runnable = out;
}

static void sim_perturb(struct pirn_core *core)
{
	struct pirn_sim *sim = sim_node_of(core)->sim;
	uint64_t r = sim_next(&sim->schedule);
	struct pirn_fiber *head = core->runnable.head;

	/* As often few as many. */
	core->turn_switches = 1 + (int)(r % (r >> 62 ? sim->opt.switches :
					     (sim->opt.switches + 7) / 8));
	if (head && head->next && (r >> 32 & 0xfffff) * 1000000 >> 20 <
				  sim->opt.shuffle)
		shuffle(core, &sim->schedule);
}

static void sim_wake(struct pirn_core *core)
{
	struct pirn_sim *sim = sim_node_of(core)->sim;

	sim_core_wake(sim_core_of(core),
		      sim->now + sim_between(&sim->schedule,
					     sim->opt.wake_min_ns,
					     sim->opt.wake_max_ns));
}

void sim_core_wake(struct sim_core *sc, uint64_t when)
{
	struct pirn_sim *sim = sc->node->sim;

	if (sc->node->state != SIM_RUNS)
		return;
	if (when < sc->not_before)
		when = sc->not_before;
	if (sc->turn.place) {
		if (sim_event_time(&sim->heap, &sc->turn) <= when)
			return;
		sim_event_remove(sim, &sc->turn);
	}
	sc->turn.kind = SIM_TURN;
	sim_event_add(sim, &sc->turn, when);
}

static bool work_came(struct pirn_core *core)
{
	return sim_ready(core) || pirn_messages_ready(core) ||
	       atomic_load_explicit(&core->foreign, memory_order_relaxed);
}

/* Nothing is runnable: when is the next turn?  UINT64_MAX: when it is woken. */
static uint64_t idle(struct pirn_core *core, uint64_t soonest)
{
	uint64_t deadline = core->timers.next;

	/* (D) of message.c */
	atomic_store_explicit(&core->sleeping,
			      pirn_mailboxes_stuck(core) ? PIRN_SLEEPS_STUCK :
							   PIRN_SLEEPS,
			      memory_order_relaxed);
	pirn_full_fence();
	if (work_came(core)) {
		atomic_store_explicit(&core->sleeping, PIRN_AWAKE,
				      memory_order_relaxed);
		deadline = soonest;
	} else {
		core->stats.sleeps++;
	}
	if (core->queued)
		sim_enter(core, false, UINT64_MAX);
	return deadline < soonest ? soonest : deadline;
}

void sim_core_turn(struct sim_core *sc)
{
	struct pirn_core *core = sc->core;
	struct sim_node *node = sc->node;
	struct pirn_sim *sim = node->sim;
	uint64_t next;

	sim->counts.turns++;
	sim_mix(sim, sim->now);
	sim_mix(sim, (uint64_t)node->number << 32 | core->index);
	sim_log(sim, node, (int)core->index, "turn");
	atomic_store_explicit(&core->sleeping, PIRN_AWAKE,
			      memory_order_relaxed);
	pirn_core_turn(core);
	if (pirn_stopping(core->rt) || node->crash)
		return;
	next = sim->now + sim_between(&sim->schedule, sim->opt.turn_min_ns,
				      sim->opt.turn_max_ns);
	if (sim_fault(sim, PIRN_SIM_STUCK, node)) {
		next += sim->opt.stuck_ns;
		sc->not_before = next;
	}
	if (!core->runnable.head)
		next = idle(core, next);
	if (next != UINT64_MAX)
		sim_core_wake(sc, next);
}

void sim_node_quiet(struct sim_node *node)
{
	struct pirn_runtime *rt = node->rt;

	for (uint32_t i = 0; i < rt->cores; i++) {
		struct sim_core *sc = sim_core_of(rt->core[i]);

		if (!sc)
			continue;
		if (sc->turn.place)
			sim_event_remove(node->sim, &sc->turn);
		for (uint32_t j = 0; j < rt->opt.io_depth; j++)
			if (sc->io[j].event.place)
				sim_event_remove(node->sim, &sc->io[j].event);
	}
}

const struct pirn_backend_ops pirn_sim_ops = {
	.name = "sim",
	.probe = sim_probe,
	.cpus = sim_env_cpus,
	.run = sim_env_run,
	.core_start = sim_core_start,
	.core_stop = sim_core_stop,
	.pool_map = sim_pool_map,
	.pool_unmap = sim_pool_unmap,
	.pool_attach = sim_pool_attach,
	.file_open = sim_file_open,
	.file_close = sim_file_close,
	.file_size = sim_file_size,
	.file_truncate = sim_file_truncate,
	.file_attach = sim_file_attach,
	.file_detach = sim_file_detach,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.dir_sync = sim_dir_sync,
	.queue = sim_queue,
	.enter = sim_enter,
	.ready = sim_ready,
	.reap = sim_reap,
	.wake = sim_wake,
	.now = sim_now,
	.seed = sim_seed,
	.perturb = sim_perturb,
};
