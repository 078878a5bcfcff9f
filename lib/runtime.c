// SPDX-License-Identifier: MIT
/*
 * Starting and ending a runtime: options and cores.
 *
 * The thread in pirn_run() makes the cores and their mailboxes; the backend's run
 * then starts each on a thread of its own (host.c), where it makes its backend,
 * pool and stacks, on its CPU and so on its node.
 */
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend.h"
#include "helper.h"
#include "lib.h"
#include "mailbox.h"
#include "sanitizer.h"
#include "schedule.h"
#include "scope.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

int pirn_fail(struct pirn_core *core, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(core->reason, sizeof(core->reason), format, args);
	va_end(args);
	return error;
}

void pirn_panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* ---------------------------------------------------------------- options */

/* No header of ours will be longer; an uninitialised size mostly is. */
#define OPTIONS_MOST 4096u

#define OPTION_FLAGS (PIRN_REPORT_OVERFLOW | PIRN_TIMES)

/* Zero means the default; then the range. */
#define OPTION(name, def, min, max)					\
	do {								\
		if (!opt->name)						\
			opt->name = (def);				\
		if (opt->name < (min) || opt->name > (max)) {		\
			snprintf(why, why_bytes,			\
				 #name " %llu is not between %llu and %llu", \
				 (unsigned long long)opt->name,		\
				 (unsigned long long)(min),		\
				 (unsigned long long)(max));		\
			return -EINVAL;					\
		}							\
	} while (0)

static int options_check(struct pirn_options *opt, char *why, size_t why_bytes)
{
	OPTION(io_depth, 256, 2, PIRN_MAX_DEPTH);
	OPTION(io_batch, 32 < opt->io_depth ? 32 : opt->io_depth, 1,
	       opt->io_depth);
	OPTION(call_depth, 64, 1, PIRN_MAX_CALL_DEPTH);
	OPTION(call_window, PIRN_NO_WINDOW, 1, PIRN_NO_WINDOW);
	OPTION(foreign_depth, 256, 1, PIRN_MAX_FOREIGN_DEPTH);
	OPTION(max_fibers, 1u << 20, 1, PIRN_MAX_FIBERS);
	OPTION(stack_bytes, 256u << 10, PIRN_MIN_STACK, PIRN_MAX_STACK);
	OPTION(pool_bytes, 16u << 20, PIRN_MIN_POOL, PIRN_MAX_POOL);
	OPTION(max_orphans, 64, 1, PIRN_MAX_DEPTH);
	if (opt->flags & ~OPTION_FLAGS) {
		snprintf(why, why_bytes,
			 "flags has bits that mean nothing: 0x%x",
			 opt->flags & ~OPTION_FLAGS);
		return -EINVAL;
	}
	OPTION(helper_threads, PIRN_HELPER_THREADS, 1, PIRN_MAX_HELPERS);
	opt->stack_bytes = (opt->stack_bytes + PIRN_PAGE - 1) &
			   ~(size_t)(PIRN_PAGE - 1);
	opt->pool_bytes = (opt->pool_bytes + PIRN_PAGE - 1) &
			  ~(size_t)(PIRN_PAGE - 1);
	if (!opt->spin_ns)
		opt->spin_ns = 20000;
	else if (opt->spin_ns == PIRN_NO_SPIN)
		opt->spin_ns = 0;
	return 0;
}

/* A caller of another version of the header: see pirn_options in <pirn.h>. */
static int options_copy(struct pirn_options *to, const struct pirn_options *from,
			char *why, size_t why_bytes)
{
	const char *bytes = (const char *)from;
	size_t known;

	memset(to, 0, sizeof(*to));
	if (!from)
		return 0;
	if (from->size < sizeof(from->size) || from->size > OPTIONS_MOST) {
		snprintf(why, why_bytes,
			 "options.size is %zu: use PIRN_OPTIONS_INIT",
			 from->size);
		return -EINVAL;
	}
	known = from->size < sizeof(*to) ? from->size : sizeof(*to);
	memcpy(to, from, known);
	for (size_t i = known; i < from->size; i++) {
		if (!bytes[i])
			continue;
		snprintf(why, why_bytes,
			 "an option at byte %zu is not known to this library", i);
		return -EINVAL;
	}
	return 0;
}

static int backend_pick(struct pirn_runtime *rt, char *why, size_t why_bytes)
{
	char reason[200];
	int err;

	if (rt->opt.backend == PIRN_BACKEND_AUTO && (!rt->ops || rt->start_error)) {
		rt->ops = pirn_backend_choose(rt->ops, rt->start_message, why,
					      why_bytes);
		rt->start_error = 0;
		return rt->ops ? 0 : -ENODEV;
	}
	if (rt->ops)
		return 0;	/* a simulated node */
	rt->ops = pirn_backend_ops(rt->opt.backend);
	if (!rt->ops) {
		snprintf(why, why_bytes, "no backend has the number %d",
			 (int)rt->opt.backend);
		return -EINVAL;
	}
	err = rt->ops->probe(reason, sizeof(reason));
	if (err) {
		snprintf(why, why_bytes, "%s: %s", rt->ops->name, reason);
		return -ENODEV;
	}
	snprintf(why, why_bytes, "backend %s, as asked for", rt->ops->name);
	return 0;
}

/* The switch does not move the shadow stack along. */
static int shadow_stack_check(char *why, size_t why_bytes)
{
	unsigned long enabled = 0;
	int err;

#if defined(__x86_64__)
	/* ARCH_SHSTK_STATUS; ARCH_SHSTK_SHSTK */
	const char *off = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK";

	err = (int)syscall(SYS_arch_prctl, 0x5005, &enabled);
#else
	/* PR_GET_SHADOW_STACK_STATUS; PR_SHADOW_STACK_ENABLE */
	const char *off = "GLIBC_TUNABLES=glibc.cpu.aarch64_gcs=0";

	err = prctl(74, &enabled, 0, 0, 0);
#endif
	if (err || !(enabled & 1))
		return 0;
	snprintf(why, why_bytes,
		 "shadow stacks are enabled for this process; fibers cannot run with them (%s)",
		 off);
	return -ENOTSUP;
}

/* ------------------------------------------------------------------ cores */

static void core_free(struct pirn_core *core)
{
	if (!core)
		return;
	free(core->out);
	free(core->in);
	free(core->pool_slot);
	san_core_gone(core);
	munmap(core, sizeof(*core));
}

static struct pirn_core *core_make(struct pirn_runtime *rt, uint32_t index,
				   int cpu)
{
	struct pirn_core *core = mmap(NULL, sizeof(*core),
				      PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (core == MAP_FAILED)
		return NULL;
	madvise(core, sizeof(*core), MADV_WIPEONFORK);
	san_core_made(core);
	core->rt = rt;
	core->ops = rt->ops;
	core->index = index;
	core->cpu = cpu;
	core->pool.handle = -1;
	core->pool.owner = index;
	core->out = calloc(rt->cores, sizeof(*core->out));
	core->in = aligned_alloc(PIRN_LINE, rt->cores * sizeof(*core->in));
	core->pool_slot = malloc(rt->cores * sizeof(*core->pool_slot));
	if (!core->out || !core->in || !core->pool_slot) {
		core_free(core);
		return NULL;
	}
	memset(core->in, 0, rt->cores * sizeof(*core->in));
	for (uint32_t i = 0; i < rt->cores; i++)
		core->pool_slot[i] = -1;
	core->own_pool_slot = -1;
	return core;
}

static int cores_make(struct pirn_runtime *rt, const int *cpus, char *why,
		      size_t why_bytes)
{
	rt->core = calloc(rt->cores, sizeof(struct pirn_core *));
	if (!rt->core)
		goto nomem;
	for (uint32_t i = 0; i < rt->cores; i++) {
		rt->core[i] = core_make(rt, i, cpus[i]);
		if (!rt->core[i])
			goto nomem;
	}
	if (pirn_mailboxes_start(rt))
		goto nomem;
	return 0;

nomem:
	snprintf(why, why_bytes, "no memory for %u cores", rt->cores);
	return -ENOMEM;
}

static void cores_free(struct pirn_runtime *rt)
{
	if (!rt->core)
		return;
	pirn_mailboxes_stop(rt);
	for (uint32_t i = 0; i < rt->cores; i++)
		core_free(rt->core[i]);
	free(rt->core);
}

/* ---------------------------------------------------------- start and stop */

void pirn_main_ended(struct pirn_core *core, int result)
{
	struct pirn_runtime *rt = core->rt;

	rt->main_result = result;
	core->budget = 0;	/* nobody else runs on this core */
	atomic_store_explicit(&rt->stop, true, memory_order_seq_cst);
	for (uint32_t i = 1; i < rt->cores; i++)
		rt->ops->wake(rt->core[i]);
}

/* The first fiber: when it ends, so does the runtime. */
static int main_fiber(void *arg)
{
	struct pirn_runtime *rt = arg;

	struct pirn_core *core;
	int result = rt->main_fn(rt->main_arg);

	core = pirn_this();
	if (!core)
		_exit(result);	/* the child of a fork: nothing else is there */
	pirn_fiber_leave(core, core->current, true);
	pirn_main_ended(core, result);
	return 0;
}

static int main_fiber_make(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct pirn_fiber *fiber;
	int err = pirn_fiber_make(core, &fiber, main_fiber, core->rt);

	if (err) {
		snprintf(why, why_bytes, "%s", core->reason);
		return err;
	}
	core->rt->main_fiber = fiber;
	fiber->name = "main";
	fiber->detached = true;
	pirn_fiber_ready(core, fiber);
	return 0;
}

int pirn_core_start(struct pirn_core *core, char *why, size_t why_bytes)
{
	int err;

	pirn_this_core = core;
	core->turn_switches = PIRN_TURN_SWITCHES;
	core->submit_at = core->rt->opt.io_batch;
	core->current = &core->reactor;
	core->reactor.core = core;
	san_thread_start(&core->reactor);
	pirn_mailboxes_touch(core);
	if (pirn_times_start(core)) {
		snprintf(why, why_bytes, "no memory for times");
		return -ENOMEM;
	}
	err = core->ops->core_start(core, why, why_bytes);
	if (err)
		return err;
	err = core->ops->pool_map(core, why, why_bytes);
	if (err)
		return err;
	if (pirn_pool_start(&core->pool)) {
		snprintf(why, why_bytes, "no memory to manage the pool");
		return -ENOMEM;
	}
	if (pirn_gives_start(core)) {
		snprintf(why, why_bytes, "no memory for max_orphans (%u)",
			 core->rt->opt.max_orphans);
		return -ENOMEM;
	}
	if (core->rt->overflow_reported) {
		err = pirn_overflow_core_start(core, why, why_bytes);
		if (err)
			return err;
	}
	pirn_stacks_start(&core->stacks, core->rt->opt.stack_bytes);
	pirn_timers_start(&core->timers, core->ops->now(core));
	pirn_random_start(core, core->ops->seed(core));
	core->live = true;
	return core->index ? 0 : main_fiber_make(core, why, why_bytes);
}

void pirn_core_stop(struct pirn_core *core)
{
	pirn_ports_stop(core);
	pirn_stacks_stop(core);
	pirn_gives_stop(core);
	pirn_times_stop(core);
	pirn_overflow_core_stop(core);
	pirn_pool_stop(&core->pool);
	if (core->pool.base)
		core->ops->pool_unmap(&core->pool);
	core->ops->core_stop(core);
}

void pirn_runtime_close_files(struct pirn_runtime *rt)
{
	while (rt->files)
		pirn_file_free(rt->ops, rt->files);
}

static void message_give(const struct pirn_options *opt, const char *text)
{
	if (opt && opt->size <= OPTIONS_MOST && opt->size >=
	    offsetof(struct pirn_options, message_bytes) + sizeof(size_t) &&
	    opt->message && opt->message_bytes)
		snprintf(opt->message, opt->message_bytes, "%s", text);
}

/* What was written at the start, and who was left at the end. */
static void message_left(const struct pirn_options *opt,
			 const struct pirn_runtime *rt, const char *start)
{
	char text[768];

	if (!rt->left_fibers)
		return;
	snprintf(text, sizeof(text),
		 "%s; %u fiber%s left when the main one returned%s: %s", start,
		 rt->left_fibers, rt->left_fibers == 1 ? " was" : "s were",
		 rt->left_fibers == 1 ? "" : ", the first", rt->left_first);
	message_give(opt, text);
}

int pirn_runtime_prepare(struct pirn_runtime *rt, const struct pirn_options *opt,
			 char *why, size_t why_bytes)
{
	int *cpus, count, err;

	pthread_mutex_init(&rt->lock, NULL);
	err = options_copy(&rt->opt, opt, why, why_bytes);
	if (!err)
		err = options_check(&rt->opt, why, why_bytes);
	if (!err)
		err = shadow_stack_check(why, why_bytes);
	if (err)
		return err;
	cpus = calloc(PIRN_MAX_CORES, sizeof(*cpus));
	if (!cpus)
		return -ENOMEM;
	err = backend_pick(rt, why, why_bytes);
	if (err)
		goto out;
	message_give(opt, why);
	count = rt->ops->cpus(rt, cpus, PIRN_MAX_CORES, why, why_bytes);
	if (count < 0) {
		err = count;
		goto out;
	}
	rt->cores = (uint32_t)count;
	err = cores_make(rt, cpus, why, why_bytes);
	if (!err && rt->opt.flags & PIRN_REPORT_OVERFLOW) {
		err = pirn_overflow_start(why, why_bytes);
		rt->overflow_reported = !err;
	}
out:
	free(cpus);
	return err;
}

void pirn_runtime_dispose(struct pirn_runtime *rt)
{
	if (rt->overflow_reported)
		pirn_overflow_stop();
	cores_free(rt);
	pthread_mutex_destroy(&rt->lock);
}

static int run_once(struct pirn_runtime *rt, const struct pirn_options *opt,
		    char *why, size_t why_bytes)
{
	int err = pirn_runtime_prepare(rt, opt, why, why_bytes);

	if (!err)
		err = rt->ops->run(rt, why, why_bytes);
	pirn_runtime_dispose(rt);
	return err;
}

/*
 * Whether @rt is to start once more: with auto, where the backend had no memory for
 * its cores and there is another one, which may need less.  Nothing of the program
 * has run.
 */
static bool start_elsewhere(struct pirn_runtime *rt)
{
	char message[sizeof(rt->start_message)], unused[2];

	if (rt->start_error != -ENOMEM || rt->opt.backend != PIRN_BACKEND_AUTO ||
	    !pirn_backend_choose(rt->ops, "", unused, sizeof(unused)))
		return false;
	memcpy(message, rt->start_message, sizeof(message));
	*rt = (struct pirn_runtime) {
		.main_fn = rt->main_fn, .main_arg = rt->main_arg,
		.ops = rt->ops, .start_error = rt->start_error,
	};
	memcpy(rt->start_message, message, sizeof(message));
	return true;
}

/* ---------------------------------------------------------------- public */

int pirn_run(const struct pirn_options *opt, int (*fn)(void *arg), void *arg,
	     int *result)
{
	struct pirn_runtime rt = { .main_fn = fn, .main_arg = arg };
	char why[512] = "";
	int err;

	if (pirn_this_core) {
		snprintf(why, sizeof(why),
			 "pirn_run() was called on a core of a runtime");
		err = -EDEADLK;
	} else if (!fn) {
		snprintf(why, sizeof(why), "pirn_run: fn is NULL");
		err = -EINVAL;
	} else {
		do {
			err = run_once(&rt, opt, why, sizeof(why));
		} while (start_elsewhere(&rt));
	}
	if (err)
		message_give(opt, why[0] ? why : strerror(-err));
	else
		message_left(opt, &rt, why);
	if (!err && result)
		*result = rt.main_result;
	return err;
}

int pirn_core(void)
{
	struct pirn_core *core = pirn_this();

	return core ? (int)core->index : -EPERM;
}

int pirn_core_count(void)
{
	struct pirn_core *core = pirn_this();

	return core ? (int)core->rt->cores : -EPERM;
}

int pirn_core_cpu(unsigned int index)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (index >= core->rt->cores)
		return pirn_fail(core, -EINVAL, "no core %u: there are %u",
				 index, core->rt->cores);
	return core->rt->core[index]->cpu;
}

const char *pirn_reason(void)
{
	struct pirn_core *core = pirn_this();

	return core ? core->reason : "";
}

/* xoshiro256++ of Blackman and Vigna, started with splitmix64. */
static uint64_t next_of_seed(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void pirn_random_start(struct pirn_core *core, uint64_t seed)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(core->random); i++)
		core->random[i] = next_of_seed(&seed);
	core->first_port = (uint32_t)next_of_seed(&seed) | 1;
}

static inline uint64_t rotate_left(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

uint64_t pirn_random(void)
{
	struct pirn_core *core = pirn_this();
	uint64_t *s, result, t;

	if (!core)
		return 0;
	s = core->random;
	result = rotate_left(s[0] + s[3], 23) + s[0];
	t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

int pirn_core_stats(struct pirn_core_stats *stats)
{
	struct pirn_core *core = pirn_this();
	size_t size;

	if (!core)
		return -EPERM;
	if (!stats || stats->size < sizeof(stats->size))
		return pirn_fail(core, -EINVAL, "pirn_core_stats: size is not set");
	size = stats->size < sizeof(*stats) ? stats->size : sizeof(*stats);
	core->stats.fibers = core->fibers;
	memcpy(stats, &core->stats, size);
	stats->size = size;
	return 0;
}
