// SPDX-License-Identifier: MIT
/* Mutex, condition, read-write lock: what one fiber has and others wait for. */
#include "lib.h"
#include "sync.h"
#include "wait.h"

_Static_assert(sizeof(struct pirn_mutex) == 48 &&
	       sizeof(struct pirn_condition) == 48 &&
	       sizeof(struct pirn_rwlock) == 48, "sizes are ABI");

/* ----------------------------------------------------------------- mutex */

static pirn_slow int mutex_lock(struct pirn_mutex *mutex, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &mutex->core);

	if (err)
		return err;
	if (!mutex->owner) {
		mutex->owner = core->current;
		return 0;
	}
	if (mutex->owner == core->current)
		return pirn_fail(core, -EDEADLK,
				 "this fiber holds the mutex already");
	return pirn_sync_wait(core, &mutex->waiters, mutex, NULL, deadline);
}

int pirn_mutex_lock_until(struct pirn_mutex *mutex, uint64_t deadline)
{
	struct pirn_core *core = pirn_sync_mine(mutex->core);

	/* Handed over and never let go: nobody waits for one without owner. */
	if (unlikely(!core || mutex->owner))
		return mutex_lock(mutex, deadline);
	mutex->owner = core->current;
	return 0;
}

/* To the first that waits, who owns it before it runs. */
static inline void mutex_hand_over(struct pirn_core *core,
				   struct pirn_mutex *mutex)
{
	struct pirn_wait *first = mutex->waiters.first;

	if (!first) {
		mutex->owner = NULL;
		return;
	}
	mutex->owner = first->fiber;
	pirn_wait_end(core, first, 0);
}

static pirn_slow int mutex_unlock(struct pirn_mutex *mutex)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &mutex->core);

	if (err)
		return err;
	if (mutex->owner != core->current)
		return pirn_fail(core, -EPERM,
				 "this fiber does not hold the mutex");
	mutex_hand_over(core, mutex);
	return 0;
}

int pirn_mutex_unlock(struct pirn_mutex *mutex)
{
	struct pirn_core *core = pirn_sync_mine(mutex->core);

	if (unlikely(!core || mutex->owner != core->current ||
		     mutex->waiters.first))
		return mutex_unlock(mutex);
	mutex->owner = NULL;
	return 0;
}

int pirn_mutex_destroy(struct pirn_mutex *mutex)
{
	return pirn_sync_destroy(&mutex->core, mutex->owner);
}

/* ------------------------------------------------------------- condition */

/*
 * Takes the mutex back after a wait, which nothing may keep it from: the shield
 * holds off the end of the scope, and a wait ended in spite of it begins again.
 */
static void mutex_take_back(struct pirn_core *core, struct pirn_mutex *mutex)
{
	if (likely(!mutex->owner)) {
		mutex->owner = core->current;
		return;
	}
	core->current->shield++;
	do {
		pirn_wait_until(core, &mutex->waiters, &core->current->own,
				NULL, PIRN_NEVER);
	} while (unlikely(mutex->owner != core->current));
	core->current->shield--;
}

int pirn_condition_wait_until(struct pirn_condition *condition,
			      struct pirn_mutex *mutex, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &condition->core);

	if (err)
		return err;
	if (mutex->owner != core->current)
		return pirn_fail(core, -EPERM,
				 "this fiber does not hold the mutex");
	if (condition->waiters.first && condition->mutex != mutex)
		return pirn_fail(core, -EINVAL,
				 "others wait for this condition with another mutex");
	err = pirn_sync_refused(core, deadline);
	if (err)
		return err;
	condition->mutex = mutex;
	mutex_hand_over(core, mutex);
	err = pirn_sync_wait(core, &condition->waiters, condition, NULL,
			     deadline);
	mutex_take_back(core, mutex);
	return err ? pirn_fail_plain(core, err) : 0;
}

int pirn_condition_signal(struct pirn_condition *condition)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &condition->core);

	if (err)
		return err;
	if (condition->waiters.first)
		pirn_wait_end(core, condition->waiters.first, 0);
	return 0;
}

int pirn_condition_broadcast(struct pirn_condition *condition)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &condition->core);

	if (err)
		return err;
	pirn_sync_end_all(core, &condition->waiters, 0);
	return 0;
}

int pirn_condition_destroy(struct pirn_condition *condition)
{
	return pirn_sync_destroy(&condition->core, condition->waiters.first);
}

/* ------------------------------------------------------- read-write lock */

/* What a wait's amount is. */
enum { READER, WRITER };

/* Lets in who comes first, and after a reader the readers behind it. */
static void rwlock_serve(struct pirn_core *core, struct pirn_rwlock *lock)
{
	while (lock->waiters.first && !lock->writer) {
		struct pirn_wait *first = lock->waiters.first;

		if (first->amount == READER)
			lock->readers++;
		else if (lock->readers)
			return;
		else
			lock->writer = first->fiber;
		pirn_wait_end(core, first, 0);
	}
}

/* A writer that gave up may have been all that kept readers out. */
static void rwlock_left(struct pirn_core *core, struct pirn_wait *wait)
{
	rwlock_serve(core, wait->object);
}

/* One that nobody has is waited for by nobody. */
static inline bool rwlock_open(const struct pirn_rwlock *lock, int as)
{
	if (as == READER)
		return !lock->writer && !lock->waiters.first;
	return !lock->writer && !lock->readers;
}

static inline void rwlock_take(struct pirn_core *core, struct pirn_rwlock *lock,
			       int as)
{
	if (as == READER)
		lock->readers++;
	else
		lock->writer = core->current;
}

static pirn_slow int rwlock_lock(struct pirn_rwlock *lock, int as,
				 uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &lock->core);

	if (err)
		return err;
	if (rwlock_open(lock, as)) {
		rwlock_take(core, lock, as);
		return 0;
	}
	if (lock->writer == core->current)
		return pirn_fail(core, -EDEADLK,
				 "this fiber holds the lock for writing already");
	core->current->own.amount = (uint64_t)as;
	return pirn_sync_wait(core, &lock->waiters, lock, rwlock_left,
			      deadline);
}

int pirn_rwlock_read_until(struct pirn_rwlock *lock, uint64_t deadline)
{
	struct pirn_core *core = pirn_sync_mine(lock->core);

	if (unlikely(!core || !rwlock_open(lock, READER)))
		return rwlock_lock(lock, READER, deadline);
	rwlock_take(core, lock, READER);
	return 0;
}

int pirn_rwlock_write_until(struct pirn_rwlock *lock, uint64_t deadline)
{
	struct pirn_core *core = pirn_sync_mine(lock->core);

	if (unlikely(!core || !rwlock_open(lock, WRITER)))
		return rwlock_lock(lock, WRITER, deadline);
	rwlock_take(core, lock, WRITER);
	return 0;
}

static pirn_slow int read_done(struct pirn_rwlock *lock)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &lock->core);

	if (err)
		return err;
	if (!lock->readers)
		return pirn_fail(core, -EPERM, "nobody holds the lock for reading");
	lock->readers--;
	rwlock_serve(core, lock);
	return 0;
}

int pirn_rwlock_read_done(struct pirn_rwlock *lock)
{
	struct pirn_core *core = pirn_sync_mine(lock->core);

	if (unlikely(!core || !lock->readers || lock->waiters.first))
		return read_done(lock);
	lock->readers--;
	return 0;
}

int pirn_rwlock_write_done(struct pirn_rwlock *lock)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &lock->core);

	if (unlikely(err))
		return err;
	if (unlikely(lock->writer != core->current))
		return pirn_fail(core, -EPERM,
				 "this fiber does not hold the lock for writing");
	lock->writer = NULL;
	rwlock_serve(core, lock);
	return 0;
}

int pirn_rwlock_destroy(struct pirn_rwlock *lock)
{
	return pirn_sync_destroy(&lock->core, lock->writer || lock->readers);
}
