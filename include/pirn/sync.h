/* SPDX-License-Identifier: MIT */
/*
 * Waiting for other fibers of the same core: mutex, condition, semaphore,
 * read-write lock, event, future, barrier, gate, wait group.  Bounded channels
 * and waiting for several things at once are in <pirn/fifo.h>, what other cores
 * may use too in <pirn/shared.h>.
 *
 * Rules for all of them
 *
 *   One core.  An object belongs to the core of its first use, and every call
 *   on it from another gives -EXDEV.  Nothing in it is atomic.
 *   Memory is the caller's: embed them anywhere.  Zeroed is ready to use where
 *   no parameter is asked for.  The members are not part of the API.  No call
 *   allocates.  An object serves one runtime: make it anew for the next one.
 *   First in, first out.  Who waits first is served first, and what is given up
 *   (a lock, units) is handed to who waits: a fiber that comes later does not
 *   get in between, also not one that would ask for less.
 *   Deadlines.  A call named ..._until parks until @deadline at most, then
 *   gives -ETIMEDOUT.  PIRN_NEVER: no deadline.  PIRN_TRY: it does not park at
 *   all, -EAGAIN when it would have to.  A call that need not wait succeeds
 *   whatever its deadline, and even when the fiber's scope has ended.
 *   Ending early.  A wait is ended by its deadline or by the end of the fiber's
 *   scope (-ECANCELED; -ETIMEDOUT when a deadline ended that), and has exactly
 *   one result: 0, and the fiber has what it waited for, or an error, and it is
 *   as if it had never waited.  Exceptions say so at the call.
 *   After a wait has ended the object is not touched again by it: the fiber that
 *   ended it may free the object at once when nobody else uses it.
 *   Errors of every call, not repeated below: -EPERM outside a fiber; -EXDEV.
 *   To destroy: -EBUSY when somebody waits for the object, or holds it where that
 *   is known; else it is as new (a semaphore keeps its units), and the core of
 *   its next use may be another.  Not to do so leaks nothing.
 *   ABI.  The forms without a deadline, and ..._try..., are inline calls of the
 *   ..._until form; nothing inline but the initialisers knows the members.
 */
#ifndef PIRN_SYNC_H
#define PIRN_SYNC_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pirn_core;
struct pirn_wait;

/* A deadline long past: do not wait. */
#define PIRN_TRY 0

/* Those who wait for one thing, first in first out; zeroed is empty. */
struct pirn_waiters {
	struct pirn_wait *first;
	struct pirn_wait *last;
};

/* ----------------------------------------------------------------- mutex */

/*
 * Needed only where what it guards is inconsistent across a call that parks:
 * fibers of one core do not run at the same time.
 */
struct pirn_mutex {
	struct pirn_core *core;
	struct pirn_fiber *owner;
	struct pirn_waiters waiters;
	uint64_t reserved[2];
};

#define PIRN_MUTEX_INIT { 0, 0, { 0, 0 }, { 0, 0 } }

/* Parks until this fiber holds it.  -EDEADLK: it does already. */
PIRN_API int pirn_mutex_lock_until(struct pirn_mutex *mutex, uint64_t deadline);
static inline int pirn_mutex_lock(struct pirn_mutex *mutex)
{
	return pirn_mutex_lock_until(mutex, PIRN_NEVER);
}
static inline int pirn_mutex_trylock(struct pirn_mutex *mutex)
{
	return pirn_mutex_lock_until(mutex, PIRN_TRY);
}

/* Hands it to the first that waits.  -EPERM: this fiber does not hold it. */
PIRN_API int pirn_mutex_unlock(struct pirn_mutex *mutex);
PIRN_API int pirn_mutex_destroy(struct pirn_mutex *mutex);

/* ------------------------------------------------------------- condition */

struct pirn_condition {
	struct pirn_core *core;
	struct pirn_mutex *mutex;
	struct pirn_waiters waiters;
	uint64_t reserved[2];
};

#define PIRN_CONDITION_INIT { 0, 0, { 0, 0 }, { 0, 0 } }

/*
 * Gives @mutex up, parks until signalled, and holds @mutex again when it
 * returns, whatever it returns: to take it back it may park past the deadline
 * and the end of the scope.  There are no spurious wake-ups, but between the
 * signal and the return others may hold the mutex: loop around the condition.
 * 0: signalled.  -EPERM: this fiber does not hold @mutex; -EINVAL: others wait
 * with another mutex.  When it does not return 0 no signal was used up.
 */
PIRN_API int pirn_condition_wait_until(struct pirn_condition *condition,
				       struct pirn_mutex *mutex,
				       uint64_t deadline);
static inline int pirn_condition_wait(struct pirn_condition *condition,
				      struct pirn_mutex *mutex)
{
	return pirn_condition_wait_until(condition, mutex, PIRN_NEVER);
}

/* Ends the wait of the first, or of all, that wait now.  Holding the mutex is not asked. */
PIRN_API int pirn_condition_signal(struct pirn_condition *condition);
PIRN_API int pirn_condition_broadcast(struct pirn_condition *condition);
PIRN_API int pirn_condition_destroy(struct pirn_condition *condition);

/* ------------------------------------------------------------- semaphore */

/* Units of something: of one, a plain semaphore; of bytes, a budget. */
struct pirn_semaphore {
	struct pirn_core *core;
	uint64_t units;
	struct pirn_waiters waiters;
	uint64_t reserved[2];
};

#define PIRN_SEMAPHORE_INIT(units) { 0, units, { 0, 0 }, { 0, 0 } }

/*
 * Parks until @units can be taken, and takes them at once.  While the first in
 * the queue asks for more than there is, nobody behind it passes, and when it
 * gives up the next may.  0 units are taken without waiting.  Asking for more
 * than will ever be posted is not noticed.
 */
PIRN_API int pirn_semaphore_wait_until(struct pirn_semaphore *semaphore,
				       uint64_t units, uint64_t deadline);
static inline int pirn_semaphore_wait(struct pirn_semaphore *semaphore,
				      uint64_t units)
{
	return pirn_semaphore_wait_until(semaphore, units, PIRN_NEVER);
}
static inline int pirn_semaphore_trywait(struct pirn_semaphore *semaphore,
					 uint64_t units)
{
	return pirn_semaphore_wait_until(semaphore, units, PIRN_TRY);
}

/* Adds units.  -EOVERFLOW: there would be 2^64 or more; nothing is added. */
PIRN_API int pirn_semaphore_post(struct pirn_semaphore *semaphore,
				 uint64_t units);

/* Units nobody has now; those who wait may be waiting for more. */
PIRN_API uint64_t
pirn_semaphore_units(const struct pirn_semaphore *semaphore);
PIRN_API int pirn_semaphore_destroy(struct pirn_semaphore *semaphore);

/* ------------------------------------------------------- read-write lock */

/*
 * Many readers or one writer.  Readers and writers wait in one queue: a reader
 * that comes after a waiting writer waits too, so that neither side starves.  A
 * fiber that holds it for reading must therefore not ask again before it has
 * given it up: that is not noticed.
 */
struct pirn_rwlock {
	struct pirn_core *core;
	struct pirn_fiber *writer;
	struct pirn_waiters waiters;
	uint64_t readers;
	uint64_t reserved[1];
};

#define PIRN_RWLOCK_INIT { 0, 0, { 0, 0 }, 0, { 0 } }

/* Park until this fiber may read, or write.  -EDEADLK: it is the writer. */
PIRN_API int pirn_rwlock_read_until(struct pirn_rwlock *lock,
				    uint64_t deadline);
PIRN_API int pirn_rwlock_write_until(struct pirn_rwlock *lock,
				     uint64_t deadline);
static inline int pirn_rwlock_read(struct pirn_rwlock *lock)
{
	return pirn_rwlock_read_until(lock, PIRN_NEVER);
}
static inline int pirn_rwlock_write(struct pirn_rwlock *lock)
{
	return pirn_rwlock_write_until(lock, PIRN_NEVER);
}

/* -EPERM: nobody reads, or this fiber is not the writer. */
PIRN_API int pirn_rwlock_read_done(struct pirn_rwlock *lock);
PIRN_API int pirn_rwlock_write_done(struct pirn_rwlock *lock);
PIRN_API int pirn_rwlock_destroy(struct pirn_rwlock *lock);

/* ----------------------------------------------------------------- event */

/*
 * Set or not.  One that is not automatic stays set until it is cleared and lets
 * all pass; an automatic one lets one fiber pass for each time it is set, and
 * setting it when it is set changes nothing.
 */
struct pirn_event {
	struct pirn_core *core;
	struct pirn_waiters waiters;
	uint32_t set;
	uint32_t automatic;
	uint64_t reserved[2];
};

#define PIRN_EVENT_INIT { 0, { 0, 0 }, 0, 0, { 0, 0 } }
#define PIRN_EVENT_AUTOMATIC_INIT { 0, { 0, 0 }, 0, 1, { 0, 0 } }

/* Parks until it is set, or was while this fiber waited. */
PIRN_API int pirn_event_wait_until(struct pirn_event *event, uint64_t deadline);
static inline int pirn_event_wait(struct pirn_event *event)
{
	return pirn_event_wait_until(event, PIRN_NEVER);
}
PIRN_API int pirn_event_set(struct pirn_event *event);
PIRN_API int pirn_event_clear(struct pirn_event *event);
PIRN_API int pirn_event_destroy(struct pirn_event *event);

/* ---------------------------------------------------------------- future */

/* A value, or an error, that will come once; any number of fibers wait. */
struct pirn_future {
	struct pirn_core *core;
	struct pirn_waiters waiters;
	int64_t value;
	int32_t error;
	uint32_t set;
	uint64_t reserved[1];
};

#define PIRN_FUTURE_INIT { 0, { 0, 0 }, 0, 0, 0, { 0 } }

/*
 * Sets value and error (0 or a negative errno) for good; a pointer goes through
 * intptr_t.  -EALREADY: it is set; -EINVAL: @error is above 0.
 */
PIRN_API int pirn_future_set(struct pirn_future *future, int error,
			     int64_t value);

/*
 * Parks until it is set; returns its error and puts its value in *value (may be
 * NULL).  Whether an error is the future's or that of a wait that ended early
 * pirn_future_is_set() tells, as long as the future is there.
 */
PIRN_API int pirn_future_wait_until(struct pirn_future *future, int64_t *value,
				    uint64_t deadline);
static inline int pirn_future_wait(struct pirn_future *future, int64_t *value)
{
	return pirn_future_wait_until(future, value, PIRN_NEVER);
}
/* 1 or 0. */
PIRN_API int pirn_future_is_set(const struct pirn_future *future);
PIRN_API int pirn_future_destroy(struct pirn_future *future);

/* --------------------------------------------------------------- barrier */

/* Fibers wait until @fibers (1 up) of them do; then all go on, and it starts anew. */
struct pirn_barrier {
	struct pirn_core *core;
	struct pirn_waiters waiters;
	uint32_t fibers;
	uint32_t arrived;
	uint64_t reserved[2];
};

#define PIRN_BARRIER_INIT(fibers) { 0, { 0, 0 }, fibers, 0, { 0, 0 } }
#define PIRN_BARRIER_SERIAL 1

/*
 * PIRN_BARRIER_SERIAL to the one that came last, 0 to the others.  One that
 * gives up has not come: the others wait on for one more.  -EINVAL: made for 0.
 */
PIRN_API int pirn_barrier_wait_until(struct pirn_barrier *barrier,
				     uint64_t deadline);
static inline int pirn_barrier_wait(struct pirn_barrier *barrier)
{
	return pirn_barrier_wait_until(barrier, PIRN_NEVER);
}
PIRN_API int pirn_barrier_destroy(struct pirn_barrier *barrier);

/* ------------------------------------------------------------------ gate */

/* What is under way inside something that is to be shut down. */
struct pirn_gate {
	struct pirn_core *core;
	struct pirn_waiters waiters;
	uint64_t inside;
	uint32_t closed;
	uint32_t pad;
	uint64_t reserved[1];
};

#define PIRN_GATE_INIT { 0, { 0, 0 }, 0, 0, 0, { 0 } }

/* -ESHUTDOWN: it is closed. */
PIRN_API int pirn_gate_enter(struct pirn_gate *gate);
/* -EPERM: nobody is inside. */
PIRN_API int pirn_gate_leave(struct pirn_gate *gate);
/*
 * Lets nobody in from now on, and parks until all have left.  It stays closed
 * when the wait ends early: call again to wait on.  Any number may wait.
 */
PIRN_API int pirn_gate_close_until(struct pirn_gate *gate, uint64_t deadline);
static inline int pirn_gate_close(struct pirn_gate *gate)
{
	return pirn_gate_close_until(gate, PIRN_NEVER);
}
/* It is open again afterwards. */
PIRN_API int pirn_gate_destroy(struct pirn_gate *gate);

/* ------------------------------------------------------------ wait group */

/* A number of things not yet done. */
struct pirn_wait_group {
	struct pirn_core *core;
	struct pirn_waiters waiters;
	uint64_t count;
	uint64_t reserved[2];
};

#define PIRN_WAIT_GROUP_INIT { 0, { 0, 0 }, 0, { 0, 0 } }

/* -EOVERFLOW: 2^64 or more. */
PIRN_API int pirn_wait_group_add(struct pirn_wait_group *group, uint64_t n);
/* One is done; the last ends every wait.  -EPERM: more done than added. */
PIRN_API int pirn_wait_group_done(struct pirn_wait_group *group);
/* Parks until none is left; at once when there is none. */
PIRN_API int pirn_wait_group_wait_until(struct pirn_wait_group *group,
					uint64_t deadline);
static inline int pirn_wait_group_wait(struct pirn_wait_group *group)
{
	return pirn_wait_group_wait_until(group, PIRN_NEVER);
}
PIRN_API int pirn_wait_group_destroy(struct pirn_wait_group *group);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_SYNC_H */
