/* SPDX-License-Identifier: MIT */
/*
 * The library's own structures.  Everything of a core is touched by that core's
 * thread only, except what is marked atomic and, before the threads start and
 * after they ended, by the thread in pirn_run().
 */
#ifndef PIRN_LIB_H
#define PIRN_LIB_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pirn.h>
#include <pirn/scope.h>
#include <pirn/sync.h>		/* struct pirn_waiters */

#define PIRN_LINE	64
#define PIRN_PAGE	4096u
#define PIRN_HUGE	(2u << 20)
#define pirn_aligned	__attribute__((aligned(PIRN_LINE)))
#define inlined	inline __attribute__((always_inline))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))

/* Where functions before the C library's do no harm: held_mutex.c. */
#if defined(PIRN_DEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PIRN_WATCHES_MUTEXES	1
#endif

/* Bounds of struct pirn_options, in one place; checked in runtime.c. */
#define PIRN_MAX_CORES		1024u
#define PIRN_MAX_DEPTH		4096u
#define PIRN_MAX_CALL_DEPTH	1024u
#define PIRN_MAX_FOREIGN_DEPTH	4096u
#define PIRN_MAX_FIBERS		(1u << 24)
#define PIRN_MIN_STACK		(16u << 10)
#define PIRN_MAX_STACK		(64u << 20)
#define PIRN_MIN_POOL		(1ull << 20)
#define PIRN_MAX_POOL		(1ull << 40)
#define PIRN_MAX_IO		(1u << 20)	/* bytes of one op; longer IO is cut */
#define PIRN_TURN_SWITCHES	64		/* of fibers before the reactor looks round */

/*
 * A full barrier.  ThreadSanitizer does not model fences, which costs it
 * nothing here: what the fences order is atomic on both sides.
 */
static inline void pirn_full_fence(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wtsan"
	atomic_thread_fence(memory_order_seq_cst);
#pragma GCC diagnostic pop
}

struct pirn_core;
struct pirn_runtime;
struct pirn_backend_ops;
struct pirn_call;
struct pirn_inbox;
struct pirn_outbox;
struct pirn_ports;
struct pirn_door;
struct pirn_inlet;
struct pirn_helpers;
struct pirn_wait;
struct pirn_op;
struct pirn_histograms;

/* ------------------------------------------------------- fiber.c, stack.c */

struct pirn_timer_list {		/* circular; of a bucket, or a timer's place */
	struct pirn_timer_list *next;
	struct pirn_timer_list *prev;
};

/* Owned by whoever armed it until it fires or is disarmed. */
struct pirn_timer {
	struct pirn_timer_list list;	/* next NULL: not armed */
	uint64_t when;
	void (*fire)(struct pirn_core *core, struct pirn_timer *timer);
};

/*
 * A fiber stopped in something that may be ended early, by its deadline or by
 * the end of its scope; see wait.h.
 */
struct pirn_wait {
	struct pirn_wait *next;
	struct pirn_wait *prev;
	struct pirn_waiters *in;	/* NULL: in none */
	struct pirn_fiber *fiber;
	/* Ended early: it has left ->in, and this puts right what else it held. */
	void (*left)(struct pirn_core *core, struct pirn_wait *wait);
	int result;
	bool timed_out;			/* by its own deadline; set when it has one */
	struct pirn_timer timer;
	/* Of the objects of sync.h. */
	void *object;			/* what it waits for */
	void *item;			/* where a value comes from or goes to */
	uint64_t amount;
	struct pirn_wait *whole;	/* of a select, when this is one place of it */
};

/*
 * How a fiber became runnable: what a simulator that runs fibers in another
 * order must keep.
 */
enum pirn_came {
	PIRN_CAME,			/* in no order to rely on */
	PIRN_CAME_YIELDED,		/* after all that were runnable */
	PIRN_CAME_IN_ORDER,		/* after those of the same queue or sender */
};

/*
 * Lies at the top of its own stack; the stack pools keep it in a free list.  What
 * every fiber needs is in the first three lines of the cache.
 */
struct pirn_fiber {
	void *sp;			/* while it does not run */
	struct pirn_fiber *next;	/* in the one queue it is in */
	uint32_t came;			/* enum pirn_came; one store sets both */
	int woken;			/* what the call it stopped in returns */
	const void *came_of;		/* which queue or sender */
	bool permit;			/* unparked before it parked */
	bool detached;
	bool ended;
	bool runnable;			/* left.c: when the runtime ended */
	struct pirn_core *core;
	int (*fn)(void *arg);
	void *arg;
	const char *name;		/* not copied; may be NULL */
	int result;
	uint32_t flags;			/* PIRN_FIBER_* */
	uint32_t shield;		/* depth of shielded sections, in ->scope */
	uint16_t from;			/* the core whose message it serves */
	uint8_t serves;			/* enum pirn_serves */
	bool nested;			/* made by a message, or by such a fiber */
	struct pirn_wait *wait;		/* that it stopped in and may be ended early */
	struct pirn_wait *parked;	/* of the last pirn_park() */
	struct pirn_waiters joiner;	/* one at most */
	struct pirn_scope *scope;	/* the innermost it is in */
	struct pirn_cleanup *cleanup;	/* handlers, last pushed first */
	union {				/* when it serves one */
		struct pirn_call *call;
		struct pirn_foreign_call *foreign_call;
	};
	struct pirn_call *calling;	/* the calls it has out */
	void *stack_low;		/* lowest usable byte */
	size_t stack_bytes;
	const char *doing;		/* the call of the last wait */
	struct pirn_op *op;		/* of the last IO */
	struct pirn_fiber *scope_next;	/* of those made in the same: scope.c, */
	struct pirn_fiber *scope_prev;	/* or scope_call.c */
	uint32_t valgrind;		/* the tools' own, see sanitizer.h */
	struct pirn_wait own;		/* for one wait at a time: wait.h */
	struct pirn_scope serving;	/* scope_call.c */
#if defined(__SANITIZE_ADDRESS__)
	void *asan_fake;
#endif
#if defined(__SANITIZE_THREAD__)
	void *tsan;
	bool tsan_left_deep;		/* by pirn_exit() */
#endif
#if defined(PIRN_DEBUG)
	bool patterned;			/* what is not is not used, stack_watch.c */
#endif
#if defined(PIRN_WATCHES_MUTEXES)
	uint32_t mutexes;		/* that it locked, held_mutex.c */
	pthread_mutex_t *mutex;		/* the last of them, and where */
	void *mutex_by;
#endif
};

/* What of a fiber's floating point is not in registers: see switch.h. */
struct pirn_fp {
	uint32_t control;		/* mxcsr, or fpcr */
	uint32_t x87;
};

/* Whom it concerns that a fiber has ended: mailbox.h. */
enum pirn_serves {
	PIRN_SERVES_NOBODY,
	PIRN_SERVES_CALL,
	PIRN_SERVES_POST,
	PIRN_SERVES_FOREIGN_CALL,
};

/* Fibers first in, first out. */
struct pirn_queue {
	struct pirn_fiber *head;
	struct pirn_fiber *tail;
};

static inline void pirn_queue_push(struct pirn_queue *q, struct pirn_fiber *f)
{
	f->next = NULL;
	if (q->head)
		q->tail->next = f;
	else
		q->head = f;
	q->tail = f;
}

static inline struct pirn_fiber *pirn_queue_pop(struct pirn_queue *q)
{
	struct pirn_fiber *f = q->head;

	if (f)
		q->head = f->next;
	return f;
}

struct pirn_stack_slab {
	struct pirn_stack_slab *next;
	char *base;
	size_t bytes;
	uint32_t used;			/* stacks cut from it */
};

/* A core's stacks; those without a fiber are in one of three lists. */
struct pirn_stacks {
	struct pirn_fiber *free;	/* used since the last look, last one first */
	struct pirn_fiber *aging;	/* not used since */
	struct pirn_fiber *cold;	/* given back to the kernel, but for the top page */
	struct pirn_stack_slab *slabs;
	uint32_t slab_count;		/* stacks a slab holds */
	uint32_t page;			/* bytes */
	size_t guard;			/* bytes */
	size_t bytes;			/* one stack with its guard */
	bool guard_by_protect;		/* no MADV_GUARD_INSTALL here */
	uint64_t look_at;		/* when to look next; UINT64_MAX: nothing to look at */
	uint64_t made;
	uint64_t used_most;		/* bytes, of the fibers looked at */
	uint64_t returned;		/* bytes given back */
};

/* From pirn_stack_get(), fast when the last look left something. */
struct pirn_fiber *pirn_stack_get_slow(struct pirn_core *core);
void pirn_stacks_start(struct pirn_stacks *stacks, size_t stack_bytes);
void pirn_stacks_stop(struct pirn_core *core);
/* The fiber (alive or not) whose guard @at lies in, or NULL.  For signal handlers. */
struct pirn_fiber *pirn_stack_of_guard(const struct pirn_core *core,
				       uintptr_t at);
/* The n-th of a slab, counted from 0. */
struct pirn_fiber *pirn_stack_of_slab(const struct pirn_stacks *stacks,
				      const struct pirn_stack_slab *slab,
				      uint32_t n);

/*
 * stack_watch.c: gives cold stacks back, at most @most now.  True when there
 * was one: call again rather than sleep; else look_at is when to call.
 */
bool pirn_stacks_tend(struct pirn_core *core, uint32_t most);
/* Whether it is worth a clock, and a deadline for a sleep. */
bool pirn_stacks_due(const struct pirn_stacks *stacks);
#if defined(PIRN_DEBUG)
void pirn_stack_pattern(struct pirn_core *core, struct pirn_fiber *fiber);
#endif

static inline struct pirn_fiber *pirn_stack_get(struct pirn_stacks *stacks)
{
	struct pirn_fiber *fiber = stacks->free;

	if (likely(fiber))
		stacks->free = fiber->next;
	return fiber;
}

static inline void pirn_stack_put(struct pirn_stacks *stacks,
				  struct pirn_fiber *fiber)
{
	fiber->next = stacks->free;
	stacks->free = fiber;
}

int pirn_fiber_make(struct pirn_core *core, struct pirn_fiber **fiber,
		    int (*fn)(void *), void *arg);
/* From the reactor: runs fibers until none is runnable or the turn is over. */
void pirn_fibers_run(struct pirn_core *core);

/* pirn_fiber_stop() when no fiber is to run next, or the turn is over. */
int pirn_fiber_stop_slow(struct pirn_core *core);

/* ------------------------------------------------------------- overflow.c */

/* PIRN_REPORT_OVERFLOW: for the process, then for each core's thread. */
int pirn_overflow_start(char *why, size_t why_bytes);
void pirn_overflow_stop(void);
int pirn_overflow_core_start(struct pirn_core *core, char *why,
			     size_t why_bytes);
/* When its thread has ended, or on it. */
void pirn_overflow_core_stop(struct pirn_core *core);

/* --------------------------------------------------------------- timer.c */

struct pirn_timer_bucket {
	struct pirn_timer_list list;	/* in the order they were armed */
	uint64_t least;			/* no deadline in it is earlier */
};

/*
 * A radix heap: bucket 0 holds what is due, bucket b > 0 the timers whose
 * highest bit that differs from `last` is bit b - 1.  See timer.c.
 */
struct pirn_timers {
	uint64_t last;
	uint64_t next;			/* no timer is due before; UINT64_MAX: none */
	uint64_t nonempty;		/* bit b - 1: bucket b may hold something */
	struct pirn_timer_bucket bucket[65];
};

void pirn_timers_start(struct pirn_timers *timers, uint64_t now);
/* @timer->when and ->fire are set; fire runs in the reactor and may not park. */
void pirn_timer_arm(struct pirn_timers *timers, struct pirn_timer *timer);
static inline void pirn_timer_disarm(struct pirn_timer *timer)
{
	timer->list.prev->next = timer->list.next;
	timer->list.next->prev = timer->list.prev;
	timer->list.next = NULL;
}
static inline bool pirn_timer_armed(const struct pirn_timer *timer)
{
	return timer->list.next;
}
void pirn_timers_expire(struct pirn_core *core, uint64_t now);

/* ---------------------------------------------------------------- wait.c */

/* Ends a wait early with @error, if the fiber is in one. */
void pirn_wait_break(struct pirn_core *core, struct pirn_fiber *fiber,
		     int error);
void pirn_wait_timed_out(struct pirn_core *core, struct pirn_timer *timer);
/* What this fiber is refused with: 0, -ECANCELED, -ETIMEDOUT; noted in its scope. */
int pirn_wait_refused(const struct pirn_fiber *fiber);

/* ------------------------------------------------------------- foreign.c */

/*
 * Something from a thread that is no core: run in the reactor, where it must
 * not park; then it belongs to whoever made it again.
 */
struct pirn_foreign {
	struct pirn_foreign *next;
	void (*run)(struct pirn_core *core, struct pirn_foreign *item);
};

/* From any thread; the caller knows that the runtime does not end meanwhile. */
void pirn_foreign_send(struct pirn_core *core, struct pirn_foreign *item);
void pirn_foreign_receive(struct pirn_core *core);
/* Wakes a core if it sleeps: after a full fence, from any thread. */
void pirn_core_wake(struct pirn_core *core);

/* ---------------------------------------------------------------- pool.c */

/* Memory that IO uses: one a core, cut by halves (a buddy allocator). */
struct pirn_pool {
	char *base;
	uint64_t bytes;
	uint32_t owner;			/* the core whose fibers allocate from it */
	intptr_t handle;		/* the backend's own */
	size_t map_bytes;		/* what to unmap, from map_base */
	char *map_base;
	uint32_t pages;
	uint8_t *state;			/* a page: see pool.c */
	uint32_t *next;
	uint32_t *prev;
	uint32_t free[32];		/* first free piece of 2^order pages */
};

int pirn_pool_start(struct pirn_pool *pool);
void pirn_pool_stop(struct pirn_pool *pool);
/* The pool of any core that an address lies in, or NULL. */
struct pirn_pool *pirn_pool_of(const struct pirn_core *core, const void *buf);
/* Bytes of the piece that begins at @buf and is not free; 0: there is none. */
uint64_t pirn_pool_piece(const struct pirn_pool *pool, const void *buf);
/* By the core it belongs to.  -EFAULT: no such piece. */
int pirn_pool_release(struct pirn_pool *pool, const void *buf);

/* --------------------------------------------------------------- file.c */

/* A file as one core sees it; only that core touches it. */
struct pirn_file_slot {
	int32_t slot;			/* the backend's index, -1: not attached */
	uint32_t busy;			/* ops of this core under way */
	bool closed;
	bool reads;			/* attached, not closed, and opened for it */
	bool writes;
} pirn_aligned;

struct pirn_file {
	struct pirn_runtime *rt;
	struct pirn_file *next;		/* in rt->files, under rt->lock */
	struct pirn_file **link;
	_Atomic bool closing;
	uint32_t home;			/* the core that opened it, and syncs it */
	bool syncing;			/* there: a sync is under way */
	struct pirn_waiters sync_waiting;
	intptr_t handle;		/* the backend's own; -1: not open */
	int flags;
	bool block;			/* a block device */
	bool made;			/* host_file.c: by the open that is under way */
	uint32_t block_bytes;
	uint32_t memory_align;
	_Atomic int fsync_error;
	struct pirn_file_slot on[];	/* one a core */
};

int pirn_file_attach(struct pirn_core *core, struct pirn_file *file);
int pirn_file_check(struct pirn_core *core, const struct pirn_file *file);
void pirn_file_free(const struct pirn_backend_ops *ops, struct pirn_file *file);

/* -------------------------------------------------------------- reactor.c */

enum pirn_sleeping {
	PIRN_AWAKE,
	PIRN_SLEEPS,			/* wake it for a message */
	PIRN_SLEEPS_STUCK,		/* and when a mailbox it sends to has room */
};

/*
 * A core.  Its memory is wiped in the child of a fork, where `live` is then
 * false and every call says -EPERM.
 */
struct pirn_core {
	/* What every switch touches. */
	bool live;
	int budget;			/* switches left in this turn */
	int turn_switches;		/* of fibers, in one turn */
	struct pirn_fiber *current;
	struct pirn_queue runnable;
	struct pirn_fiber reactor;	/* the thread's own stack */
	struct pirn_fp fp;		/* the core's, while a PIRN_FIBER_FP runs */
	int fp_budget;			/* what budget was then */

	/* IO: what every op touches is in three lines. */
	struct pirn_runtime *rt;
	uint32_t index;
	int32_t own_pool_slot;		/* of ->pool; < 0: not attached yet */
	const struct pirn_backend_ops *ops;
	void *backend;			/* the backend's part of this core */
	struct pirn_waiters pending;	/* struct pirn_op_wait: found no room */
	struct pirn_histograms *times;	/* times.c; NULL: not asked for */
	struct pirn_give *gives;	/* places of give.c, and the free ones */
	struct pirn_give *gives_free;
	uint32_t queued;		/* ops the next enter submits */
	uint32_t submit_at;		/* so many queued make a batch */
	uint32_t in_flight;		/* ops queued or submitted, not completed */
	int32_t *pool_slot;		/* the backend's index of each core's pool */
	struct pirn_pool pool;

	uint64_t time;			/* of this turn, when time_known */
	bool time_known;
	struct pirn_timers timers;
	struct pirn_stacks stacks;
	struct pirn_outbox *out;	/* one a core */
	struct pirn_inbox *in;
	uint64_t touched[PIRN_MAX_CORES / 64]; /* mailboxes that flush must look at */
	uint32_t touched_words;		/* a bit for each of these that is not zero */
	struct pirn_inlet *inlet;	/* door.c: NULL, no foreign threads */
	struct pirn_ports *ports;	/* port.c: NULL, none opened yet */
	uint32_t first_port;		/* generation of handles, not another runtime's */
	uint32_t delayed;		/* posts taken, that no fiber could be had for */
	uint32_t delayed_next;		/* whose turn it is among them */
	uint32_t starved_at;		/* fibers alive when none could be made */
	bool starved;			/* it has not been tried since */
	struct pirn_timer starved_timer;
	struct pirn_fiber *serving[256]; /* calls, by name: scope_call.c */

	int cpu, node;
	uint32_t fibers;
	void *signal_stack;		/* overflow.c: mapped, or NULL */
	size_t signal_stack_bytes;
	struct pirn_core_stats stats;
	uint64_t random[4];		/* xoshiro256++ */
	pthread_t thread;		/* host.c */
	char reason[192];

	/*
	 * Announced before the core sleeps, looked at by whoever sends to it
	 * or makes room for it: one of enum pirn_sleeping.
	 */
	_Atomic uint32_t sleeping pirn_aligned;
	_Atomic(struct pirn_foreign *) foreign;	/* last come first */
} pirn_aligned;

struct pirn_runtime {
	const struct pirn_backend_ops *ops;
	struct pirn_options opt;	/* with every default filled in */
	uint32_t cores;
	uint32_t mailbox_mask;		/* messages a ring holds, less one */
	struct pirn_core **core;
	int (*main_fn)(void *arg);
	void *main_arg;
	struct pirn_fiber *main_fiber;
	int main_result;
	uint32_t left_fibers;		/* under lock: left.c */
	char left_first[160];
	_Atomic bool stop;
	struct pirn_file *files;	/* open ones, under lock */

	pthread_mutex_t lock;

	/* host.c.  Starting: each core reports, then waits for the verdict. */
	pthread_cond_t changed;
	uint32_t started;
	int start_error;
	bool start_verdict;
	bool overflow_reported;		/* pirn_overflow_start() was called */
	char start_message[352];
	struct pirn_helpers *helpers;

	struct pirn_door *door;		/* door.c: NULL, no foreign threads */
	void *world;			/* sim.c */
};

extern __thread struct pirn_core *pirn_this_core;

/* The current core, or NULL outside a fiber and in the child of a fork. */
static inline struct pirn_core *pirn_this(void)
{
	struct pirn_core *core = pirn_this_core;

	return likely(core && core->live) ? core : NULL;
}

/* What this core calls the file: attached at its first op. */
static inline int pirn_file_slot(struct pirn_core *core, struct pirn_file *file)
{
	int slot = file->on[core->index].slot;

	return likely(slot >= 0) ? slot : pirn_file_attach(core, file);
}

/* The time of this turn: the clock is read once, when it is first asked for. */
uint64_t pirn_core_read_time(struct pirn_core *core);
static inline uint64_t pirn_core_time(struct pirn_core *core)
{
	return core->time_known ? core->time : pirn_core_read_time(core);
}

/*
 * One pass: everything that has come in, then fibers, then everything that goes
 * out.  Keeps nothing between calls but what is in @core, so that any thread
 * may run any core's turns, one at a time.
 */
void pirn_core_turn(struct pirn_core *core);

/* -------------------------------------------------------------- runtime.c */

/*
 * What a backend's run() is made of.  prepare: options and cores, nothing runs;
 * dispose undoes it.  start: everything a core makes itself, on the thread that
 * will run its turns, and for core 0 the first fiber; stop undoes it, for all
 * cores, after the last turn of any and pirn_runtime_close_files().
 */
int pirn_runtime_prepare(struct pirn_runtime *rt, const struct pirn_options *opt,
			 char *why, size_t why_bytes);
void pirn_runtime_dispose(struct pirn_runtime *rt);
int pirn_core_start(struct pirn_core *core, char *why, size_t why_bytes);
void pirn_core_stop(struct pirn_core *core);
void pirn_runtime_close_files(struct pirn_runtime *rt);
void pirn_random_start(struct pirn_core *core, uint64_t seed);

static inline bool pirn_stopping(const struct pirn_runtime *rt)
{
	return atomic_load_explicit(&rt->stop, memory_order_acquire);
}

int pirn_fail(struct pirn_core *core, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same when there is no more to say than the errno. */
static inline int pirn_fail_plain(struct pirn_core *core, int error)
{
	core->reason[0] = '\0';
	return error;
}

/* What cannot go on without losing an op: says why and aborts. */
void pirn_panic(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* ----------------------------------------------------------------- cpus.c */

/*
 * Fills @cpus (room for @max) from a list, or the process's own when NULL.  @any:
 * also with such as the process may not run on.
 */
int pirn_cpus_parse(const char *list, int *cpus, unsigned int max, bool any,
		    char *why, size_t why_bytes);

#endif /* PIRN_LIB_H */
