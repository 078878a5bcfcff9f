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
 *
 * Most timers are deadlines, and are disarmed long before they are due.  That
 * leaves a bucket's `least`, its bit in `nonempty` and `next` as they were: they
 * are bounds, put right when their time has come.
 */
#include "backend.h"
#include "lib.h"
#include "wait.h"

static void list_start(struct pirn_timer_list *list)
{
	list->next = list;
	list->prev = list;
}

/* Moves all of @from, which is not empty, to @to. */
static void list_take(struct pirn_timer_list *to, struct pirn_timer_list *from)
{
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_start(from);
}

static struct pirn_timer *list_pop(struct pirn_timer_list *list)
{
	struct pirn_timer *timer;

	if (list->next == list)
		return NULL;
	timer = container_of(list->next, struct pirn_timer, list);
	pirn_timer_disarm(timer);
	return timer;
}

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
	struct pirn_timer_list *list = &bucket->list;

	if (list->next == list || timer->when < bucket->least)
		bucket->least = timer->when;
	timer->list.next = list;
	timer->list.prev = list->prev;
	list->prev->next = &timer->list;
	list->prev = &timer->list;
	if (b)
		timers->nonempty |= 1ull << (b - 1);
}

void pirn_timers_start(struct pirn_timers *timers, uint64_t now)
{
	memset(timers, 0, sizeof(*timers));
	for (unsigned int b = 0; b < ARRAY_SIZE(timers->bucket); b++)
		list_start(&timers->bucket[b].list);
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
	struct pirn_timer_list list;
	struct pirn_timer *timer;

	for (;;) {
		if (!timers->nonempty) {
			timers->next = UINT64_MAX;
			return false;
		}
		bucket = &timers->bucket[__builtin_ctzll(timers->nonempty) + 1];
		if (bucket->list.next != &bucket->list)
			break;
		timers->nonempty &= timers->nonempty - 1;
	}
	timers->next = bucket->least;
	if (bucket->least > now)
		return false;
	timers->last = bucket->least;
	list_take(&list, &bucket->list);
	timers->nonempty &= timers->nonempty - 1;
	while ((timer = list_pop(&list)))
		bucket_add(timers, timer);
	return true;
}

/*
 * Fires what is due, in the order of deadlines and for equal ones of arming;
 * timers armed for a time already past come first, in the order of arming.  Those
 * that fire() itself arms for such a time are among them: `next`, which advance()
 * sets, is of the buckets above only.
 */
void pirn_timers_expire(struct pirn_core *core, uint64_t now)
{
	struct pirn_timers *timers = &core->timers;
	struct pirn_timer_list *past = &timers->bucket[0].list, due;
	struct pirn_timer *timer;

	while (now >= timers->next) {
		while (past->next != past) {
			list_take(&due, past);
			while ((timer = list_pop(&due)))
				timer->fire(core, timer);
		}
		if (!advance(timers, now))
			return;
	}
}

uint64_t pirn_core_read_time(struct pirn_core *core)
{
	core->time = core->ops->now(core);
	core->time_known = true;
	return core->time;
}

/* ---------------------------------------------------------------- public */

uint64_t pirn_now(void)
{
	struct pirn_core *core = pirn_this();

	return core ? core->ops->now(core) : 0;
}

uint64_t pirn_turn_time(void)
{
	struct pirn_core *core = pirn_this();

	return core ? pirn_core_time(core) : 0;
}

/* Nobody else ends this wait. */
static int sleep_until(struct pirn_core *core, uint64_t deadline)
{
	struct pirn_wait wait;
	int err;

	wait.timed_out = false;
	err = pirn_wait_named(core, "pirn_sleep", NULL, &wait, NULL, deadline);
	return wait.timed_out ? 0 : err;
}

int pirn_sleep_until(uint64_t deadline)
{
	struct pirn_core *core = pirn_this();

	return core ? sleep_until(core, deadline) : -EPERM;
}

int pirn_sleep(uint64_t ns)
{
	struct pirn_core *core = pirn_this();
	uint64_t deadline;

	if (!core)
		return -EPERM;
	if (__builtin_add_overflow(core->ops->now(core), ns, &deadline))
		deadline = UINT64_MAX;
	return sleep_until(core, deadline);
}
