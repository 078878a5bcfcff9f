// SPDX-License-Identifier: MIT
/*
 * Timers: a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: Faster algorithms for
 * the shortest path problem, J. ACM 37, 1990), the structure Seastar's timer
 * set uses too.
 *
 * Time only goes forward: `last` is a time that has come.  A timer lies in the
 * bucket numbered by the highest bit in which its deadline differs from `last`,
 * so every timer in a lower bucket is due before every one in a higher, arming
 * and disarming touch one list, and a timer moves down at most 64 times in its
 * life, whatever the number of others.
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
	struct pirn_timer **head = &timers->bucket[b];

	timer->bucket = b;
	timer->next = *head;
	timer->link = head;
	if (timer->next)
		timer->next->link = &timer->next;
	*head = timer;
	if (b)
		timers->nonempty |= 1ull << (b - 1);
}

static void bucket_remove(struct pirn_timers *timers, struct pirn_timer *timer)
{
	*timer->link = timer->next;
	if (timer->next)
		timer->next->link = timer->link;
	if (timer->bucket && !timers->bucket[timer->bucket])
		timers->nonempty &= ~(1ull << (timer->bucket - 1));
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

/* `next` may stay too early: that costs one look, and is then set right. */
void pirn_timer_disarm(struct pirn_timers *timers, struct pirn_timer *timer)
{
	bucket_remove(timers, timer);
}

/*
 * Wakes what is due, in the order of deadlines.  Each round takes the lowest
 * bucket that holds anything, moves `last` to its least deadline, and spreads
 * the bucket: what is due then lands in bucket 0.
 */
void pirn_timers_expire(struct pirn_core *core, uint64_t now)
{
	struct pirn_timers *timers = &core->timers;
	struct pirn_timer *timer, *next;
	uint64_t least;
	uint32_t b;

	while (now >= timers->next) {
		if (!timers->bucket[0]) {
			if (!timers->nonempty) {
				timers->next = UINT64_MAX;
				return;
			}
			b = (uint32_t)__builtin_ctzll(timers->nonempty) + 1;
			least = UINT64_MAX;
			for (timer = timers->bucket[b]; timer; timer = timer->next)
				if (timer->when < least)
					least = timer->when;
			timers->next = least;
			if (least > now)
				return;
			timers->last = least;
			timer = timers->bucket[b];
			timers->bucket[b] = NULL;
			timers->nonempty &= ~(1ull << (b - 1));
			for (; timer; timer = next) {
				next = timer->next;
				bucket_add(timers, timer);
			}
		}
		while ((timer = timers->bucket[0])) {
			bucket_remove(timers, timer);
			pirn_fiber_ready(core, timer->fiber);
		}
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
