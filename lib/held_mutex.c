// SPDX-License-Identifier: MIT
/*
 * A build with PIRN_DEBUG ends a process whose fiber parks, or ends, with a
 * pthread mutex that it locked: the next fiber of the core that wants it waits in
 * the kernel for one that cannot run.  schedule.h asks wherever a fiber stops.
 *
 * Only the C library knows who locks, so these functions stand before its own,
 * in programs that are linked to libpirn.a; libpirn.so exports nothing of it.  A
 * mutex belongs to the fiber that runs when it is locked.  One that was locked
 * before the runtime began, or by a thread without a runtime, is nobody's.
 * Condition variables give up and take their mutex inside the C library: for
 * them it stays held, as it does for the caller.
 *
 * The sanitizers put functions of theirs in the same place, so there it is not.
 */
#include "held_mutex.h"

#if defined(PIRN_WATCHES_MUTEXES)
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define HEARD __attribute__((visibility("default")))

typedef int lock_fn(pthread_mutex_t *mutex);
typedef int timed_fn(pthread_mutex_t *mutex, const struct timespec *until);
typedef int clock_fn(pthread_mutex_t *mutex, clockid_t clock,
		     const struct timespec *until);

/* The C library's own; looked up by each thread that comes before it is there. */
static void *real(const char *name, _Atomic(void *) *cache)
{
	void *fn = atomic_load_explicit(cache, memory_order_relaxed);

	if (!fn) {
		fn = dlsym(RTLD_NEXT, name);
		if (!fn)
			abort();
		atomic_store_explicit(cache, fn, memory_order_relaxed);
	}
	return fn;
}

#define REAL(type, name)                                                      \
	({                                                                    \
		static _Atomic(void *) cache;                                 \
		(type *)real(#name, &cache);                                  \
	})

static struct pirn_fiber *running(void)
{
	struct pirn_core *core = pirn_this_core;

	return core ? core->current : NULL;
}

/* A mutex whose owner died, EOWNERDEAD, is held, too. */
static int locked(int err, pthread_mutex_t *mutex, void *by)
{
	struct pirn_fiber *self = running();

	if (self && (!err || err == EOWNERDEAD)) {
		self->mutexes++;
		self->mutex = mutex;
		self->mutex_by = by;
	}
	return err;
}

HEARD int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return locked(REAL(lock_fn, pthread_mutex_lock)(mutex), mutex,
		      __builtin_return_address(0));
}

HEARD int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	return locked(REAL(lock_fn, pthread_mutex_trylock)(mutex), mutex,
		      __builtin_return_address(0));
}

HEARD int pthread_mutex_timedlock(pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	return locked(REAL(timed_fn, pthread_mutex_timedlock)(mutex, until),
		      mutex, __builtin_return_address(0));
}

HEARD int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
				  const struct timespec *until)
{
	return locked(REAL(clock_fn, pthread_mutex_clocklock)(mutex, clock, until),
		      mutex, __builtin_return_address(0));
}

HEARD int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	struct pirn_fiber *self = running();
	int err = REAL(lock_fn, pthread_mutex_unlock)(mutex);

	if (self && !err && self->mutexes)
		self->mutexes--;
	return err;
}

void pirn_mutexes_held(struct pirn_fiber *self, const char *what)
{
	Dl_info where;
	const char *file = "?", *slash;
	ptrdiff_t offset = 0;
	char who[64];

	if (self->name)
		snprintf(who, sizeof(who), "\"%s\"", self->name);
	else
		snprintf(who, sizeof(who), "with the function %p",
			 (void *)(uintptr_t)self->fn);
	if (dladdr(self->mutex_by, &where)) {
		slash = strrchr(where.dli_fname, '/');
		file = slash ? slash + 1 : where.dli_fname;
		/* of the call, not of what comes after it */
		offset = (char *)self->mutex_by - (char *)where.dli_fbase - 1;
	}
	fprintf(stderr,
		"pirn: pthread mutex %p held on core %u by fiber %s, which %s; it was locked at (%s+0x%tx)\n",
		(void *)self->mutex, self->core->index, who, what, file, offset);
	abort();
}
#endif
