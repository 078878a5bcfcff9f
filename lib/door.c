// SPDX-License-Identifier: MIT
/*
 * The door: calls and posts from threads that are no cores.
 *
 * Each core has an inlet, a bounded ring with many producers and one consumer
 * (after Vyukov's bounded queue: a sequence word in every slot says whose it
 * is).  Here zero is the first state of a slot, so that a ring is fresh memory:
 *
 *   thread                                 core
 *
 *   seq of slot `tail`, acquire: (G)       seq of slot `head`, acquire: full (B)
 *     2 * lap: free                        make a fiber of it
 *   compare and swap tail: the slot is     store seq = 2 * lap + 2, release (H)
 *     this thread's                        full fence                        (K)
 *   write the slot                         load waiting; if any, change room
 *   (A) store seq = 2 * lap + 1, release     and wake those who sleep on it
 *   (C) full fence                         (D) store sleeping, full fence
 *   load sleeping; if set, wake            look at slot `head` again
 *
 *   full: count into waiting; full fence (L); load room; try again; still full:
 *   sleep while room is as it was
 *
 *   (A) pairs with (B), (H) with (G): without them a slot is read half written,
 *   or overwritten while it is read.
 *   (C) pairs with (D), which is in host.c: see mailbox.c.
 *   (K) pairs with (L): without either the core sees nobody waiting, and the
 *   thread still sees the ring full: it sleeps for ever.
 *
 * A thread that is stopped between taking a slot and (A) holds up those behind
 * it; each wakes the core after its own (A), so the last of them does.
 *
 * The end of a runtime.  A thread is inside, counted in `state`, while it
 * touches the runtime: never while it waits.  The end sets CLOSED and waits
 * until nobody is inside; whoever comes later reads CLOSED and leaves.  Calls
 * that are in a ring or have a fiber are then answered -ESHUTDOWN by their
 * records, which lie on the stacks of the threads that wait.  The memory of the
 * door stays for as long as it is open anywhere.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pirn/message.h>

#include "backend.h"
#include "lib.h"
#include "mailbox.h"
#include "schedule.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define CLOSED	0x80000000u

/* On the stack of the thread that waits. */
struct pirn_foreign_call {
	_Atomic uint32_t done;		/* a futex */
	int result;
	int error;
	/* The core's. */
	struct pirn_foreign_call *next;	/* in pirn_inlet.calls */
	struct pirn_foreign_call **link;
};

/* Wiped in the child of a fork, where it is then not open. */
struct pirn_door {
	_Atomic uint32_t state pirn_aligned;	/* inside, and CLOSED; a futex */
	_Atomic uint32_t refs;		/* the runtime's, and each open's */
	uint32_t cores;
	size_t bytes;
	struct pirn_runtime *rt;
	struct pirn_inlet inlet[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void door_put(struct pirn_door *door)
{
	if (atomic_fetch_sub_explicit(&door->refs, 1, memory_order_acq_rel) == 1)
		munmap(door, door->bytes);
}

/* ------------------------------------------------------------ the runtime */

/* The core takes what is at @head next. */
static void inlet_go_to(struct pirn_inlet *inlet, uint64_t head)
{
	inlet->head = head;
	inlet->next = &inlet->ring[head & inlet->mask];
	inlet->full = 2 * (head >> inlet->shift) + 1;
}

int pirn_door_start(struct pirn_runtime *rt)
{
	struct pirn_inlet_slot *ring;
	struct pirn_door *door;
	uint32_t shift = 0;
	size_t head, bytes;

	while (1u << shift < rt->opt.foreign_depth)
		shift++;
	head = sizeof(*door) + rt->cores * sizeof(door->inlet[0]);
	bytes = head + ((size_t)rt->cores << shift) * sizeof(*ring);
	door = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (door == MAP_FAILED)
		return -ENOMEM;
	madvise(door, bytes, MADV_WIPEONFORK);
	door->rt = rt;
	door->cores = rt->cores;
	door->bytes = bytes;
	atomic_init(&door->refs, 1);
	ring = (void *)((char *)door + head);
	for (uint32_t i = 0; i < rt->cores; i++) {
		struct pirn_inlet *inlet = &door->inlet[i];

		inlet->ring = ring + ((size_t)i << shift);
		inlet->mask = (1u << shift) - 1;
		inlet->shift = shift;
		inlet_go_to(inlet, 0);
		rt->core[i]->inlet = inlet;
	}
	rt->door = door;
	return 0;
}

/* The last look at a call's record. */
static void settle(struct pirn_foreign_call *call, int result, int error)
{
	call->result = result;
	call->error = error;
	atomic_store_explicit(&call->done, 1, memory_order_release);
	/*
	 * Its thread may be gone by now: a wake of an address nobody sleeps on
	 * does nothing, and one that hits another sleeper makes it look again.
	 */
	futex_wake(&call->done);
}

/* Of what was full; it is taken. */
static void inlet_free_slot(struct pirn_inlet *inlet)
{
	/* (H) */
	atomic_store_explicit(&inlet->next->seq, inlet->full + 1,
			      memory_order_release);
	inlet_go_to(inlet, inlet->head + 1);
}

static void inlet_tell_room(struct pirn_inlet *inlet)
{
	atomic_fetch_add_explicit(&inlet->room, 1, memory_order_release);
	futex_wake(&inlet->room);
}

void pirn_door_close(struct pirn_runtime *rt)
{
	struct pirn_door *door = rt->door;
	uint32_t state;

	state = atomic_fetch_or_explicit(&door->state, CLOSED,
					 memory_order_acq_rel) | CLOSED;
	while (state != CLOSED) {
		futex_wait(&door->state, state);
		state = atomic_load_explicit(&door->state, memory_order_acquire);
	}
	for (uint32_t i = 0; i < rt->cores; i++) {
		struct pirn_inlet *inlet = &door->inlet[i];
		struct pirn_foreign_call *call;

		while (pirn_inlet_full(inlet)) {
			call = inlet->next->call;
			inlet_free_slot(inlet);
			if (call)
				settle(call, 0, -ESHUTDOWN);
		}
		while ((call = inlet->calls)) {
			inlet->calls = call->next;
			settle(call, 0, -ESHUTDOWN);
		}
		inlet_tell_room(inlet);
		rt->core[i]->inlet = NULL;
	}
	rt->door = NULL;
	door_put(door);
}

/* --------------------------------------------------------------- the core */

/* A fiber for what a slot asks; false: for a post there is none. */
static bool slot_begin(struct pirn_core *core, struct pirn_inlet *inlet,
		       const struct pirn_inlet_slot *slot)
{
	struct pirn_foreign_call *call = slot->call;
	struct pirn_fiber *fiber;
	int err = pirn_fiber_make(core, &fiber, slot->fn, slot->arg);

	if (unlikely(err)) {
		if (call)
			settle(call, 0, err);
		else
			pirn_starve(core, err);
		return call;
	}
	fiber->detached = true;
	if (call) {
		fiber->serves = PIRN_SERVES_FOREIGN_CALL;
		fiber->foreign_call = call;
		call->next = inlet->calls;
		call->link = &inlet->calls;
		if (call->next)
			call->next->link = &call->next;
		inlet->calls = call;
	} else {
		core->starved = false;
	}
	pirn_fiber_ready(core, fiber);
	return true;
}

void pirn_inlet_receive(struct pirn_core *core)
{
	struct pirn_inlet *inlet = core->inlet;
	uint64_t head = inlet->head;

	while (inlet->head - head < PIRN_TURN_MESSAGES &&
	       pirn_inlet_ready(core)) {
		if (!slot_begin(core, inlet, inlet->next))
			break;
		inlet_free_slot(inlet);
	}
	if (inlet->head == head)
		return;
	core->stats.foreign += inlet->head - head;
	/* (K) */
	pirn_full_fence();
	if (unlikely(atomic_load_explicit(&inlet->waiting,
					  memory_order_relaxed)))
		inlet_tell_room(inlet);
}

void pirn_foreign_served(struct pirn_core *core, struct pirn_fiber *fiber)
{
	struct pirn_foreign_call *call = fiber->foreign_call;

	(void)core;
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	settle(call, fiber->result, 0);
}

/* ------------------------------------------------------------- the thread */

static void leave(struct pirn_door *door)
{
	if (atomic_fetch_sub_explicit(&door->state, 1, memory_order_release) ==
	    (CLOSED | 1))
		futex_wake(&door->state);
}

static bool enter(struct pirn_door *door)
{
	if (likely(!(atomic_fetch_add_explicit(&door->state, 1,
					       memory_order_acquire) & CLOSED)))
		return true;
	leave(door);
	return false;
}

/* Puts a call or post into the ring: 0, or -EAGAIN when it is full. */
static int push(struct pirn_inlet *inlet, const struct pirn_inlet_slot *what)
{
	struct pirn_inlet_slot *slot;
	uint64_t tail, lap;
	int64_t ahead;

	tail = atomic_load_explicit(&inlet->tail, memory_order_relaxed);
	for (;;) {
		slot = &inlet->ring[tail & inlet->mask];
		lap = tail >> inlet->shift;
		/* (G) */
		ahead = (int64_t)(atomic_load_explicit(&slot->seq,
						       memory_order_acquire) -
				  2 * lap);
		if (ahead < 0)
			return -EAGAIN;
		if (ahead > 0)
			tail = atomic_load_explicit(&inlet->tail,
						    memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(&inlet->tail,
							       &tail, tail + 1,
							       memory_order_relaxed,
							       memory_order_relaxed))
			break;
	}
	slot->fn = what->fn;
	slot->arg = what->arg;
	slot->call = what->call;
	/* (A) */
	atomic_store_explicit(&slot->seq, 2 * lap + 1, memory_order_release);
	return 0;
}

/* 0, -EAGAIN: no room now, or -ESHUTDOWN. */
static int try_send(struct pirn_door *door, uint32_t to,
		    const struct pirn_inlet_slot *what)
{
	int err;

	if (!enter(door))
		return -ESHUTDOWN;
	err = push(&door->inlet[to], what);
	if (!err) {
		struct pirn_core *core = door->rt->core[to];

		/* (C) */
		pirn_full_fence();
		pirn_core_wake(core);
	}
	leave(door);
	return err;
}

static int wait_and_send(struct pirn_door *door, uint32_t to,
			 const struct pirn_inlet_slot *what)
{
	struct pirn_inlet *inlet = &door->inlet[to];
	uint32_t room;
	int err;

	atomic_fetch_add_explicit(&inlet->waiting, 1, memory_order_relaxed);
	for (;;) {
		/* (L) */
		pirn_full_fence();
		room = atomic_load_explicit(&inlet->room, memory_order_acquire);
		err = try_send(door, to, what);
		if (err != -EAGAIN)
			break;
		futex_wait(&inlet->room, room);
	}
	atomic_fetch_sub_explicit(&inlet->waiting, 1, memory_order_relaxed);
	return err;
}

static int check(const struct pirn_door *door, unsigned int to,
		 int (*fn)(void *arg))
{
	if (!door || !fn)
		return -EINVAL;
	if (!atomic_load_explicit(&door->refs, memory_order_relaxed))
		return -EPERM;
	if (pirn_this_core)
		return -EDEADLK;
	return to < door->cores ? 0 : -EINVAL;
}

static int foreign_send(struct pirn_door *door, unsigned int to,
			const struct pirn_inlet_slot *what, bool wait)
{
	int err = check(door, to, what->fn);

	if (!err)
		err = try_send(door, to, what);
	if (err == -EAGAIN && wait)
		err = wait_and_send(door, to, what);
	return err;
}

/* ---------------------------------------------------------------- public */

int pirn_foreign_open(struct pirn_door **door)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!door)
		return pirn_fail(core, -EINVAL, "pirn_foreign_open: door is NULL");
	if (!core->rt->door)
		return pirn_fail(core, -EOPNOTSUPP,
				 "backend %s has no room for foreign threads",
				 core->ops->name);
	*door = core->rt->door;
	atomic_fetch_add_explicit(&(*door)->refs, 1, memory_order_relaxed);
	return 0;
}

void pirn_foreign_close(struct pirn_door *door)
{
	if (door && atomic_load_explicit(&door->refs, memory_order_relaxed))
		door_put(door);
}

int pirn_foreign_call(struct pirn_door *door, unsigned int to,
		      int (*fn)(void *arg), void *arg, int *result)
{
	struct pirn_foreign_call call = { .done = 0 };
	struct pirn_inlet_slot what = { .fn = fn, .arg = arg, .call = &call };
	int err = foreign_send(door, to, &what, true);

	if (err)
		return err;
	while (!atomic_load_explicit(&call.done, memory_order_acquire))
		futex_wait(&call.done, 0);
	if (!call.error && result)
		*result = call.result;
	return call.error;
}

int pirn_foreign_post(struct pirn_door *door, unsigned int to,
		      int (*fn)(void *arg), void *arg)
{
	struct pirn_inlet_slot what = { .fn = fn, .arg = arg };

	return foreign_send(door, to, &what, true);
}

int pirn_foreign_try_post(struct pirn_door *door, unsigned int to,
			  int (*fn)(void *arg), void *arg)
{
	struct pirn_inlet_slot what = { .fn = fn, .arg = arg };

	return foreign_send(door, to, &what, false);
}
