// SPDX-License-Identifier: MIT
/* Semaphore, barrier, gate, wait group: waiting until a number is right. */
#include "lib.h"
#include "sync.h"
#include "wait.h"

_Static_assert(sizeof(struct pirn_semaphore) == 48 &&
	       sizeof(struct pirn_barrier) == 48 &&
	       sizeof(struct pirn_gate) == 48 &&
	       sizeof(struct pirn_wait_group) == 48, "sizes are ABI");

/* ------------------------------------------------------------- semaphore */

/* The first that waits, as long as there is enough for it. */
static inline void semaphore_serve(struct pirn_core *core,
				   struct pirn_semaphore *semaphore)
{
	while (semaphore->waiters.first) {
		struct pirn_wait *first = semaphore->waiters.first;

		if (first->amount > semaphore->units)
			return;
		semaphore->units -= first->amount;
		pirn_wait_end(core, first, 0);
	}
}

/* The next one may ask for less. */
static void semaphore_left(struct pirn_core *core, struct pirn_wait *wait)
{
	semaphore_serve(core, wait->object);
}

static pirn_slow int semaphore_wait(struct pirn_semaphore *semaphore,
				    uint64_t units, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &semaphore->core);

	if (err)
		return err;
	if (!units)
		return 0;
	if (units <= semaphore->units && !semaphore->waiters.first) {
		semaphore->units -= units;
		return 0;
	}
	core->current->own.amount = units;
	return pirn_sync_wait(core, &semaphore->waiters, semaphore,
			      semaphore_left, deadline);
}

int pirn_semaphore_wait_until(struct pirn_semaphore *semaphore, uint64_t units,
			      uint64_t deadline)
{
	if (!pirn_sync_mine(semaphore->core) || units > semaphore->units ||
	    semaphore->waiters.first)
		return semaphore_wait(semaphore, units, deadline);
	semaphore->units -= units;
	return 0;
}

static pirn_slow int semaphore_post(struct pirn_semaphore *semaphore,
				    uint64_t units)
{
	struct pirn_core *core;
	uint64_t sum;
	int err = pirn_sync_enter(&core, &semaphore->core);

	if (err)
		return err;
	if (__builtin_add_overflow(semaphore->units, units, &sum))
		return pirn_fail(core, -EOVERFLOW,
				 "%llu units more than the %llu there are",
				 (unsigned long long)units,
				 (unsigned long long)semaphore->units);
	semaphore->units = sum;
	semaphore_serve(core, semaphore);
	return 0;
}

int pirn_semaphore_post(struct pirn_semaphore *semaphore, uint64_t units)
{
	uint64_t sum;

	if (!pirn_sync_mine(semaphore->core) || semaphore->waiters.first ||
	    __builtin_add_overflow(semaphore->units, units, &sum))
		return semaphore_post(semaphore, units);
	semaphore->units = sum;
	return 0;
}

uint64_t pirn_semaphore_units(const struct pirn_semaphore *semaphore)
{
	return semaphore->units;
}

int pirn_semaphore_destroy(struct pirn_semaphore *semaphore)
{
	return pirn_sync_destroy(&semaphore->core, semaphore->waiters.first);
}

/* --------------------------------------------------------------- barrier */

static void barrier_left(struct pirn_core *core, struct pirn_wait *wait)
{
	struct pirn_barrier *barrier = wait->object;

	(void)core;
	barrier->arrived--;
}

int pirn_barrier_wait_until(struct pirn_barrier *barrier, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &barrier->core);

	if (err)
		return err;
	if (!barrier->fibers)
		return pirn_fail(core, -EINVAL, "a barrier for 0 fibers");
	if (barrier->arrived + 1 == barrier->fibers) {
		barrier->arrived = 0;
		pirn_sync_end_all(core, &barrier->waiters, 0);
		return PIRN_BARRIER_SERIAL;
	}
	err = pirn_sync_refused(core, deadline);
	if (err)
		return err;
	barrier->arrived++;
	return pirn_sync_wait(core, &barrier->waiters, barrier, barrier_left,
			      deadline);
}

int pirn_barrier_destroy(struct pirn_barrier *barrier)
{
	return pirn_sync_destroy(&barrier->core, barrier->arrived);
}

/* ------------------------------------------------------------------ gate */

int pirn_gate_enter(struct pirn_gate *gate)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &gate->core);

	if (unlikely(err))
		return err;
	if (unlikely(gate->closed))
		return pirn_fail(core, -ESHUTDOWN, "the gate is closed");
	gate->inside++;
	return 0;
}

int pirn_gate_leave(struct pirn_gate *gate)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &gate->core);

	if (unlikely(err))
		return err;
	if (unlikely(!gate->inside))
		return pirn_fail(core, -EPERM, "nobody is inside the gate");
	if (!--gate->inside)
		pirn_sync_end_all(core, &gate->waiters, 0);
	return 0;
}

int pirn_gate_close_until(struct pirn_gate *gate, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &gate->core);

	if (err)
		return err;
	gate->closed = true;
	if (!gate->inside)
		return 0;
	return pirn_sync_wait(core, &gate->waiters, gate, NULL, deadline);
}

int pirn_gate_destroy(struct pirn_gate *gate)
{
	int err = pirn_sync_destroy(&gate->core, gate->inside);

	if (!err)
		gate->closed = false;
	return err;
}

/* ------------------------------------------------------------ wait group */

int pirn_wait_group_add(struct pirn_wait_group *group, uint64_t n)
{
	struct pirn_core *core;
	uint64_t sum;
	int err = pirn_sync_enter(&core, &group->core);

	if (unlikely(err))
		return err;
	if (unlikely(__builtin_add_overflow(group->count, n, &sum)))
		return pirn_fail(core, -EOVERFLOW,
				 "%llu more than the %llu not done yet",
				 (unsigned long long)n,
				 (unsigned long long)group->count);
	group->count = sum;
	return 0;
}

int pirn_wait_group_done(struct pirn_wait_group *group)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &group->core);

	if (unlikely(err))
		return err;
	if (unlikely(!group->count))
		return pirn_fail(core, -EPERM, "more is done than was added");
	if (!--group->count)
		pirn_sync_end_all(core, &group->waiters, 0);
	return 0;
}

int pirn_wait_group_wait_until(struct pirn_wait_group *group, uint64_t deadline)
{
	struct pirn_core *core;
	int err = pirn_sync_enter(&core, &group->core);

	if (unlikely(err))
		return err;
	if (!group->count)
		return 0;
	return pirn_sync_wait(core, &group->waiters, group, NULL, deadline);
}

int pirn_wait_group_destroy(struct pirn_wait_group *group)
{
	return pirn_sync_destroy(&group->core, group->count);
}
