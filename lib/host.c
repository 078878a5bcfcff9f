// SPDX-License-Identifier: MIT
/*
 * What the backends on a real kernel share: a thread a core, the one place where
 * such a core sleeps, clock and random seed.
 *
 * Going to sleep is announce, full barrier, look again, sleep.  What it pairs
 * with is told in message.c and foreign.c; completions need no barrier here,
 * because the kernel looks at the ring itself before it puts the core to sleep.
 */
#include <sched.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "helper.h"
#include "lib.h"
#include "mailbox.h"
#include "scope.h"
#include "switch.h"

uint64_t pirn_host_now(struct pirn_core *core)
{
	struct timespec ts;

	(void)core;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t pirn_host_seed(struct pirn_core *core)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		return seed;
	return pirn_host_now(core) + core->index;	/* early in boot */
}

/* ------------------------------------------------------------------ sleep */

static bool work_came(struct pirn_core *core)
{
	return core->ops->ready(core) || pirn_messages_ready(core) ||
	       atomic_load_explicit(&core->foreign, memory_order_relaxed) ||
	       pirn_inlet_ready(core) ||
	       pirn_stopping(core->rt);
}

/* Looks for work for spin_ns, or until a timer is due; true when there is. */
static bool spin(struct pirn_core *core)
{
	uint64_t until, now = core->ops->now(core);

	if (__builtin_add_overflow(now, core->rt->opt.spin_ns, &until))
		until = UINT64_MAX;
	do {
		/* The clock costs more than looking: look a few times. */
		for (int i = 0; i < 16; i++) {
			if (work_came(core))
				return true;
			pirn_cpu_relax();
		}
		now = core->ops->now(core);
		if (now >= core->timers.next)
			return true;
	} while (now < until);
	return false;
}

/* What a core looks at once more, after it has said that it will sleep. */
static bool drain_work_came(struct pirn_core *core)
{
	return core->ops->ready(core) ||
	       atomic_load_explicit(&core->foreign, memory_order_relaxed);
}

/* What the turn queued goes out with the sleep. */
static void sleep_unless(struct pirn_core *core,
			 bool (*came)(struct pirn_core *core), uint64_t deadline)
{
	/* (D): announce; the fence is before the second look. */
	atomic_store_explicit(&core->sleeping,
			      pirn_mailboxes_stuck(core) ? PIRN_SLEEPS_STUCK :
							   PIRN_SLEEPS,
			      memory_order_relaxed);
	pirn_full_fence();
	if (!came(core)) {
		core->stats.sleeps++;
		pirn_core_enter(core, true, deadline);
	} else if (core->queued) {
		pirn_core_enter(core, false, UINT64_MAX);
	}
	atomic_store_explicit(&core->sleeping, PIRN_AWAKE,
			      memory_order_relaxed);
}

/* Nothing is runnable. */
static void idle(struct pirn_core *core)
{
	uint64_t deadline = core->timers.next;

	if (core->rt->opt.spin_ns) {
		if (core->queued)
			pirn_core_enter(core, false, UINT64_MAX);
		if (spin(core))
			return;
	}
	/* A few are not worth a clock and a deadline for each sleep. */
	if (unlikely(pirn_stacks_due(&core->stacks))) {
		/* What is queued does not wait: the sleep below is short then. */
		if (!core->queued && pirn_stacks_tend(core, 16))
			return;
		if (core->stacks.look_at < deadline)
			deadline = core->stacks.look_at;
	}
	sleep_unless(core, work_came, deadline);
}

/*
 * After the last turn: memory that a device writes to cannot be given back.  Ops
 * that a helper thread does come back with what is foreign.
 */
static void drain(struct pirn_core *core)
{
	while (core->in_flight) {
		core->ops->reap(core);
		pirn_foreign_receive(core);
		if (core->in_flight)
			sleep_unless(core, drain_work_came, UINT64_MAX);
	}
}

static void run_turns(struct pirn_core *core)
{
	while (!pirn_stopping(core->rt)) {
		pirn_core_turn(core);
		if (!core->runnable.head && !pirn_stopping(core->rt))
			idle(core);
	}
	pirn_left_report(core);
	drain(core);
}

/* ---------------------------------------------------------------- threads */

int pirn_host_cpus(struct pirn_runtime *rt, int *cpus, unsigned int max,
		   char *why, size_t why_bytes)
{
	return pirn_cpus_parse(rt->opt.cpus, cpus, max, false, why, why_bytes);
}

/*
 * What the module has no memory for is beyond this limit, mostly: how much it is, and
 * where it is set.  Root it does not hold.
 */
static const char *limit_of(const struct pirn_core *core, int err, char text[128])
{
	struct rlimit limit;

	if (err != -ENOMEM || core->ops != &pirn_kmod_ops || !geteuid() ||
	    getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return "";
	snprintf(text, 128,
		 ": the limit is %llu KiB for all of a user's programs (ulimit -l, LimitMEMLOCK= of a service)",
		 (unsigned long long)limit.rlim_cur >> 10);
	return text;
}

/* Says how the start went and waits until it is known how all went. */
static bool start_report(struct pirn_core *core, int err, const char *why)
{
	struct pirn_runtime *rt = core->rt;
	char limit[128];
	bool go;

	pthread_mutex_lock(&rt->lock);
	rt->started++;
	if (err && !rt->start_error) {
		rt->start_error = err;
		snprintf(rt->start_message, sizeof(rt->start_message),
			 "core %u: %s%s", core->index,
			 why[0] ? why : strerror(-err),
			 limit_of(core, err, limit));
	}
	pthread_cond_broadcast(&rt->changed);
	while (!rt->start_verdict)
		pthread_cond_wait(&rt->changed, &rt->lock);
	go = !rt->start_error;
	pthread_mutex_unlock(&rt->lock);
	return go;
}

static void *core_thread(void *arg)
{
	struct pirn_core *core = arg;
	unsigned int cpu, node;
	char why[192] = "";
	int err;

	/* This thread already runs where it stays. */
	if (!getcpu(&cpu, &node))
		core->node = (int)node;
	err = pirn_core_start(core, why, sizeof(why));
	if (start_report(core, err, why))
		run_turns(core);
	if (core->ops->core_leave)
		core->ops->core_leave(core);
	core->live = false;
	pirn_this_core = NULL;
	return NULL;
}

/* Starts on its CPU already, so that its first memory is on its node. */
static int thread_start(struct pirn_core *core)
{
	size_t bytes = CPU_ALLOC_SIZE(core->cpu + 1);
	cpu_set_t *set = CPU_ALLOC(core->cpu + 1);
	pthread_attr_t attr;
	int err;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(bytes, set);
	CPU_SET_S((size_t)core->cpu, bytes, set);
	err = pthread_attr_init(&attr);
	if (!err) {
		err = pthread_attr_setaffinity_np(&attr, bytes, set);
		if (!err)
			err = pthread_create(&core->thread, &attr, core_thread,
					     core);
		pthread_attr_destroy(&attr);
	}
	CPU_FREE(set);
	return -err;
}

/* Waits until all threads have started, and lets them run or end. */
static int start_verdict(struct pirn_runtime *rt, uint32_t threads, int err)
{
	pthread_mutex_lock(&rt->lock);
	if (err) {
		rt->start_error = err;
		snprintf(rt->start_message, sizeof(rt->start_message),
			 "starting thread %u on CPU %d: %s", threads,
			 rt->core[threads]->cpu, strerror(-err));
	}
	while (rt->started < threads)
		pthread_cond_wait(&rt->changed, &rt->lock);
	rt->start_verdict = true;
	err = rt->start_error;
	pthread_cond_broadcast(&rt->changed);
	pthread_mutex_unlock(&rt->lock);
	return err;
}

int pirn_host_run(struct pirn_runtime *rt, char *why, size_t why_bytes)
{
	uint32_t threads = 0;
	int err;

	err = pirn_door_start(rt);
	if (err)
		return err;
	err = pirn_helpers_start(rt, why, why_bytes);
	if (err) {
		pirn_door_close(rt);
		return err;
	}
	pthread_cond_init(&rt->changed, NULL);
	for (; threads < rt->cores; threads++) {
		err = thread_start(rt->core[threads]);
		if (err)
			break;
	}
	err = start_verdict(rt, threads, err);
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(rt->core[i]->thread, NULL);
	pirn_door_close(rt);
	pirn_helpers_stop(rt);
	/* Neither a device nor a helper thread has anything of theirs now. */
	for (uint32_t i = 0; i < threads; i++)
		pirn_left_drop(rt->core[i]);
	pirn_runtime_close_files(rt);
	for (uint32_t i = 0; i < threads; i++)
		pirn_core_stop(rt->core[i]);
	pthread_cond_destroy(&rt->changed);
	if (err)
		snprintf(why, why_bytes, "%s", rt->start_message);
	return err;
}
