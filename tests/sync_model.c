// SPDX-License-Identifier: MIT
/*
 * Fifty fibers do what they like, as a seed decides, with a mutex, a semaphore,
 * a read-write lock, a fifo, an automatic event and selects, and are thrown out
 * of their waits at random moments.  A naive model decides beforehand who is
 * served when, and after every step the library must agree about every fiber.
 *
 * The model knows one thing only: units that those who want them take first in,
 * first out.  A mutex is one unit.  Of a lock's 1,000 a reader wants one, a writer
 * all.  A fifo is room, and items, each of which makes one of the other.  An
 * event is one unit that setting it brings back.
 */
#include "waiter.h"

#define ACTORS 50
#define STEPS 60
#define LOCK_UNITS 1000u
#define CAPACITY 3u
#define SEMAPHORE_UNITS 10u

enum what { MUTEX, SEMAPHORE, LOCK, ROOM, ITEMS, EVENT, WHATS };

struct actor {
	struct pirn_fiber *fiber;
	struct rng rng;
	bool waits;			/* in a call that it had to wait in */
	bool served;
	int broken;			/* what its wait was ended with */
	enum what won;
	uint64_t units;			/* that it wants */
	uint64_t value;			/* to send, or that it must receive */
	unsigned int steps;
};

struct model {
	uint64_t units;
	unsigned int queue[ACTORS];
	unsigned int n;
};

static struct model model[WHATS];
static struct actor actor[ACTORS];
static uint64_t values[CAPACITY + 1];	/* in the fifo, the oldest first */
static unsigned int value_count;
static uint64_t step;			/* of all */
static unsigned int waited, broken;

static struct pirn_mutex mutex;
static struct pirn_semaphore semaphore;
static struct pirn_rwlock lock;
static uint64_t ring[CAPACITY];
static struct pirn_fifo fifo;
static struct pirn_event event;

/* ------------------------------------------------------------- the model */

static void leave(enum what what, unsigned int id)
{
	struct model *m = &model[what];
	unsigned int i, kept = 0;

	for (i = 0; i < m->n; i++)
		if (m->queue[i] != id)
			m->queue[kept++] = m->queue[i];
	m->n = kept;
}

static void serve(enum what what);

/* The units are there. */
static void take(enum what what, unsigned int id)
{
	struct actor *a = &actor[id];

	model[what].units -= a->units;
	a->served = true;
	a->won = what;
	for (int other = 0; other < WHATS; other++)
		leave(other, id);
	if (what == ROOM) {
		values[value_count++] = a->value;
		model[ITEMS].units++;
		serve(ITEMS);
	} else if (what == ITEMS) {
		a->value = values[0];
		memmove(values, values + 1, --value_count * sizeof(values[0]));
		model[ROOM].units++;
		serve(ROOM);
	}
}

static void serve(enum what what)
{
	struct model *m = &model[what];

	while (m->n && actor[m->queue[0]].units <= m->units)
		take(what, m->queue[0]);
}

/* Of all fibers that wait exactly those have been woken that the model says. */
static void agree(void)
{
	unsigned int readers = 0;

	for (unsigned int i = 0; i < ACTORS; i++)
		if (actor[i].waits)
			check_eq(!actor[i].fiber->wait,
				 actor[i].served || actor[i].broken);
	check_eq(!mutex.owner, model[MUTEX].units);
	check_eq(pirn_semaphore_units(&semaphore), model[SEMAPHORE].units);
	if (!lock.writer)
		readers = (unsigned int)(LOCK_UNITS - model[LOCK].units);
	else
		check_eq(model[LOCK].units, 0);
	check_eq(lock.readers, readers);
	check_eq(pirn_fifo_count(&fifo), model[ITEMS].units);
	check_eq(event.set, model[EVENT].units);
}

/* ----------------------------------------------------------- the library */

static int call(enum what what, struct actor *a, bool both, uint64_t *value)
{
	struct pirn_select_case cases[] = {
		{ .kind = PIRN_SELECT_RECEIVE, .object = &fifo, .item = value },
		{ .kind = PIRN_SELECT_EVENT, .object = &event },
	};
	int i;

	if (both) {
		i = pirn_select(cases, 2, PIRN_SELECT_IN_ORDER, PIRN_NEVER);
		if (i >= 0)
			check_eq(i, a->won == ITEMS ? 0 : 1);
		return i < 0 ? i : cases[i].result;
	}
	switch (what) {
	case MUTEX:
		return pirn_mutex_lock(&mutex);
	case SEMAPHORE:
		return pirn_semaphore_wait(&semaphore, a->units);
	case LOCK:
		return a->units == 1 ? pirn_rwlock_read(&lock) :
				       pirn_rwlock_write(&lock);
	case ROOM:
		return pirn_fifo_send(&fifo, &a->value);
	case ITEMS:
		return pirn_fifo_receive(&fifo, value);
	default:
		return pirn_event_wait(&event);
	}
}

static void release(enum what what, struct actor *a)
{
	model[what].units += a->units;
	serve(what);
	if (what == MUTEX)
		check_eq(pirn_mutex_unlock(&mutex), 0);
	else if (what == SEMAPHORE)
		check_eq(pirn_semaphore_post(&semaphore, a->units), 0);
	else if (a->units == 1)
		check_eq(pirn_rwlock_read_done(&lock), 0);
	else
		check_eq(pirn_rwlock_write_done(&lock), 0);
	agree();
}

/* One of the six, or with @both a select on items and event. */
static bool acquire(enum what what, unsigned int id, bool both)
{
	struct actor *a = &actor[id];
	uint64_t value = 0, before = ++step;
	enum what also = both ? EVENT : what;
	int err;

	a->served = false;
	a->broken = 0;
	if (!model[what].n && a->units <= model[what].units) {
		take(what, id);
	} else if (!model[also].n && a->units <= model[also].units) {
		take(also, id);
	} else {
		a->waits = true;
		waited++;
		model[what].queue[model[what].n++] = id;
		if (both)
			model[also].queue[model[also].n++] = id;
	}
	err = call(what, a, both, &value);
	if (!a->waits) {
		/* nobody else has run */
		check_eq(step, before);
		agree();
	}
	a->waits = false;
	check_eq(err, a->served ? 0 : a->broken);
	if (!err && a->won == ITEMS)
		check_eq(value, a->value);
	return !err;
}

static int act(void *arg)
{
	struct actor *a = arg;
	unsigned int id = (unsigned int)(a - actor);

	for (; a->steps; a->steps--) {
		enum what what = rng_below(&a->rng, WHATS);
		bool both = what == ITEMS && rng_below(&a->rng, 2);

		a->units = 1;
		if (what == SEMAPHORE)
			a->units = 1 + rng_below(&a->rng, SEMAPHORE_UNITS);
		else if (what == LOCK && rng_below(&a->rng, 3) == 0)
			a->units = LOCK_UNITS;
		else if (what == ROOM)
			a->value = rng_next(&a->rng);
		if (!acquire(what, id, both))
			continue;
		for (uint64_t n = rng_below(&a->rng, 4); n; n--)
			check_eq(pirn_yield(), 0);
		if (what == MUTEX || what == SEMAPHORE || what == LOCK)
			release(what, a);
	}
	return 0;
}

/* ------------------------------------------------------------ the others */

static void throw_out(unsigned int id, int error)
{
	struct actor *a = &actor[id];

	/* One that was served already stays so. */
	if (a->waits && !a->served && !a->broken) {
		a->broken = error;
		broken++;
		for (int what = 0; what < WHATS; what++)
			leave(what, id);
		for (int what = 0; what < WHATS; what++)
			serve(what);
	}
	if (a->waits)
		pirn_wait_break(pirn_this_core, a->fiber, error);
	agree();
}

static bool some_go_on(void)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		if (actor[i].steps)
			return true;
	return false;
}

static int play(void *arg)
{
	struct rng rng = { *(uint64_t *)arg };

	memset(actor, 0, sizeof(actor));
	memset(model, 0, sizeof(model));
	value_count = 0;
	mutex = (struct pirn_mutex)PIRN_MUTEX_INIT;
	lock = (struct pirn_rwlock)PIRN_RWLOCK_INIT;
	event = (struct pirn_event)PIRN_EVENT_AUTOMATIC_INIT;
	fifo = (struct pirn_fifo)PIRN_FIFO_INIT(ring);
	semaphore = (struct pirn_semaphore)PIRN_SEMAPHORE_INIT(SEMAPHORE_UNITS);
	model[MUTEX].units = 1;
	model[LOCK].units = LOCK_UNITS;
	model[ROOM].units = CAPACITY;
	model[SEMAPHORE].units = SEMAPHORE_UNITS;
	for (unsigned int i = 0; i < ACTORS; i++) {
		actor[i].rng.state = rng_next(&rng);
		actor[i].steps = STEPS;
		check_eq(pirn_spawn(&actor[i].fiber, act, &actor[i]), 0);
	}
	while (some_go_on()) {
		step++;
		if (rng_below(&rng, 3) == 0) {
			model[EVENT].units = 1;
			serve(EVENT);
			check_eq(pirn_event_set(&event), 0);
			agree();
		}
		if (rng_below(&rng, 2))
			throw_out((unsigned int)rng_below(&rng, ACTORS),
				  rng_below(&rng, 2) ? -ECANCELED : -ETIMEDOUT);
		check_eq(pirn_yield(), 0);
	}
	for (unsigned int i = 0; i < ACTORS; i++)
		check_eq(pirn_join(actor[i].fiber, NULL), 0);
	check_eq(mutex.owner == NULL, 1);
	check_eq(pirn_semaphore_units(&semaphore), SEMAPHORE_UNITS);
	check_eq(lock.readers, 0);
	return 0;
}

static int play_all(void *arg)
{
	unsigned int seeds = scaled(200, 15);

	(void)arg;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		print_message("# seed %u\n", (unsigned int)seed);
		play(&seed);
	}
	/* that it was about waiting at all */
	check_op(waited, >, seeds * 500);
	check_op(broken, >, seeds * 100);
	return 0;
}

TEST(random_waits_are_as_a_naive_model_says)
{
	run_on(NULL, play_all, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_waits_are_as_a_naive_model_says),
	};

	return run_program(argc, argv, "sync_model", tests, array_size(tests));
}
