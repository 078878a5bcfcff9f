// SPDX-License-Identifier: MIT
/*
 * Timers: a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: Faster algorithms for
 * the shortest path problem, J. ACM 37, 1990), the structure Seastar's timer
 * set uses too.
 *
 * Time only goes forward: `last` is a time that has come.  A timer lies in the
 * bucket numbered by the highest bit in which its deadline differs from `last`,
 * so every timer in a lower bucket is due before every one in a higher, arming
 * touches one list, and a timer moves down at most 64 times in its life, whatever
 * the number of others.
 */
#include "backend.h"
#include "lib.h"
#include "schedule.h"

static uint32_t bucket_of(const struct pirn_timers *timers, uint64_t when)
{
	if (when <= timers->last)
		return 0;
	return 64 - (uint32_t)__builtin_clzll(when ^ timers->last);
}

static void bucket_add(struct pirn_timers *timers, struct pirn_timer *timer)
{
	uint32_t b = bucket_of(timers, timer->when);
	struct pirn_timer_bucket *bucket = &timers->bucket[b];

	timer->next = NULL;
	if (bucket->head) {
		bucket->tail->next = timer;
		if (timer->when < bucket->least)
			bucket->least = timer->when;
	} else {
		bucket->head = timer;
		bucket->least = timer->when;
	}
	bucket->tail = timer;
	if (b)
		timers->nonempty |= 1ull << (b - 1);
}

void pirn_timers_start(struct pirn_timers *timers, uint64_t now)
{
	memset(timers, 0, sizeof(*timers));
	timers->last = now;
	timers->next = UINT64_MAX;
}

void pirn_timer_arm(struct pirn_timers *timers, struct pirn_timer *timer)
{
	bucket_add(timers, timer);
	if (timer->when < timers->next)
		timers->next = timer->when;
}

/*
 * Moves `last` to the least deadline there is, and spreads the bucket that
 * holds it: what is due then lands in bucket 0, all else further down.  False
 * when nothing is due by @now.
 */
static bool advance(struct pirn_timers *timers, uint64_t now)
{
	struct pirn_timer_bucket *bucket;
	struct pirn_timer *timer, *next;

	if (!timers->nonempty) {
		timers->next = UINT64_MAX;
		return false;
	}
	bucket = &timers->bucket[__builtin_ctzll(timers->nonempty) + 1];
	timers->next = bucket->least;
	if (bucket->least > now)
		return false;
	timers->last = bucket->least;
	timer = bucket->head;
	bucket->head = NULL;
	timers->nonempty &= timers->nonempty - 1;
	for (; timer; timer = next) {
		next = timer->next;
		bucket_add(timers, timer);
	}
	return true;
}

/*
 * Wakes what is due, in the order of deadlines and for equal ones of arming;
 * timers armed for a time already past come first, in the order of arming.
 */
void pirn_timers_expire(struct pirn_core *core, uint64_t now)
{
	struct pirn_timers *timers = &core->timers;
	struct pirn_timer *timer;

	while (now >= timers->next) {
		timer = timers->bucket[0].head;
		timers->bucket[0].head = NULL;
		for (; timer; timer = timer->next)
			pirn_fiber_ready(core, timer->fiber);
		if (!advance(timers, now))
			return;
	}
}

/* ---------------------------------------------------------------- public */

uint64_t pirn_now(void)
{
	struct pirn_core *core = pirn_this();

	return core ? core->ops->now() : 0;
}

int pirn_sleep_until(uint64_t deadline)
{
	struct pirn_core *core = pirn_this();
	struct pirn_timer timer;

	if (!core)
		return -EPERM;
	timer.when = deadline;
	timer.fiber = core->current;
	pirn_timer_arm(&core->timers, &timer);
	pirn_fiber_stop(core);
	return 0;
}

int pirn_sleep(uint64_t ns)
{
	struct pirn_core *core = pirn_this();
	uint64_t now, deadline;

	if (!core)
		return -EPERM;
	now = core->ops->now();
	if (__builtin_add_overflow(now, ns, &deadline))
		deadline = UINT64_MAX;
	return pirn_sleep_until(deadline);
}
