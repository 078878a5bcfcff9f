// SPDX-License-Identifier: MIT
/* Semaphore, event and fifo that all cores use. */
#include <pirn/shared.h>
#include <stdatomic.h>

#include "waiter.h"

#define UNITS 5u

/* ------------------------------------------------------------- semaphore */

struct budget {
	struct pirn_shared_semaphore semaphore;
	atomic_uint in_use;
	atomic_uint taken;
	unsigned int rounds;
};

static int spend(void *arg)
{
	struct budget *b = arg;
	struct rng rng = { (uintptr_t)pirn_self() };
	unsigned int took = 0;
	int err;

	for (unsigned int i = 0; i < b->rounds; i++) {
		unsigned int units = 1 + (unsigned int)rng_below(&rng, UNITS);
		uint64_t deadline = PIRN_NEVER;

		if (i % 3 == 0)
			deadline = pirn_now() + rng_below(&rng, MS / 10);
		else if (i % 7 == 0)
			deadline = PIRN_TRY;
		err = pirn_shared_semaphore_wait_until(&b->semaphore, units,
						       deadline);
		check(!err || (err == -ETIMEDOUT && i % 3 == 0) ||
		      (err == -EAGAIN && deadline == PIRN_TRY));
		if (err)
			continue;
		took++;
		check_op(atomic_fetch_add(&b->in_use, units) + units, <=,
			 UNITS);
		check_eq(pirn_yield(), 0);
		atomic_fetch_sub(&b->in_use, units);
		check_eq(pirn_shared_semaphore_post(&b->semaphore, units), 0);
	}
	atomic_fetch_add(&b->taken, took);
	return 0;
}

static int spend_all(void *arg)
{
	struct budget b = {
		.semaphore = PIRN_SHARED_SEMAPHORE_INIT(1, UNITS),
		.rounds = scaled(300, 50),
	};

	(void)arg;
	run_fibers_everywhere(8, spend, &b);
	check_op(atomic_load(&b.taken), >, b.rounds);
	/* none was lost to a wait that ended at its deadline */
	check_eq(pirn_shared_semaphore_wait_until(&b.semaphore, UNITS,
						  PIRN_TRY), 0);
	check_eq(pirn_shared_semaphore_wait_until(&b.semaphore, 1, PIRN_TRY),
		 -EAGAIN);
	return 0;
}

TEST(units_are_shared_by_all_cores_and_none_is_lost)
{
	run_on_cores(NULL, spend_all, NULL);
}

static int wait_remote(void *arg)
{
	return pirn_shared_semaphore_wait_until(arg, 2, PIRN_NEVER);
}

static int remote_semaphore(void *arg)
{
	struct pirn_shared_semaphore s = PIRN_SHARED_SEMAPHORE_INIT(1, 1);
	struct pirn_shared_semaphore nowhere = PIRN_SHARED_SEMAPHORE_INIT(9999, 1);
	uint64_t deadline = pirn_now() + 3 * MS;
	struct waiter w;

	(void)arg;
	check_eq(pirn_shared_semaphore_wait(&nowhere, 1), -EINVAL);
	check_eq(pirn_shared_semaphore_wait_until(&s, 2, PIRN_TRY), -EAGAIN);
	check_eq(pirn_shared_semaphore_wait_until(&s, 2, deadline), -ETIMEDOUT);
	check_op(clock_ns(), >=, deadline);
	check_eq(pirn_shared_semaphore_post(&s, UINT64_MAX), -EOVERFLOW);
	waiter_start(&w, wait_remote, &s);
	/* it is waiting there: a later, smaller request must not pass it */
	while (pirn_shared_semaphore_wait_until(&s, 1, PIRN_TRY) == 0)
		check_eq(pirn_shared_semaphore_post(&s, 1), 0);
	check_eq(pirn_shared_semaphore_destroy(&s), -EBUSY);
	check_eq(w.result, WAITS);
	check_eq(pirn_shared_semaphore_post(&s, 1), 0);
	check_eq(waiter_end(&w), 0);
	check_eq(pirn_shared_semaphore_destroy(&s), 0);
	/* at another core than its home the inner object is refused */
	check_eq(pirn_shared_semaphore_post(&s, 1), 0);
	check_eq(pirn_semaphore_post(&s.local, 1), -EXDEV);
	return 0;
}

TEST(a_wait_from_another_core_keeps_deadline_and_order)
{
	struct pirn_shared_semaphore s = PIRN_SHARED_SEMAPHORE_INIT(0, 1);

	check_eq(pirn_shared_semaphore_wait(&s, 1), -EPERM);
	run_on_cores(NULL, remote_semaphore, NULL);
}

/* ---------------------------------------------------------------- events */

struct signal {
	struct pirn_shared_event there;	/* at home on core 1 */
	struct pirn_shared_event here;
	unsigned int plain;		/* what the events make visible */
};

static int answer(void *arg)
{
	struct signal *s = arg;

	for (unsigned int i = 0; i < 200; i++) {
		check_eq(pirn_shared_event_wait(&s->there), 0);
		check_eq(s->plain, 2 * i + 1);
		s->plain++;
		check_eq(pirn_shared_event_set(&s->here), 0);
	}
	return 0;
}

static int start_answer(void *arg)
{
	return pirn_spawn(NULL, answer, arg);
}

static int question(void *arg)
{
	static struct signal s = {
		.there = PIRN_SHARED_EVENT_AUTOMATIC_INIT(1),
		.here = PIRN_SHARED_EVENT_AUTOMATIC_INIT(0),
	};
	struct pirn_shared_event manual = PIRN_SHARED_EVENT_INIT(1);
	uint64_t deadline;

	(void)arg;
	check_eq(pirn_call(1, start_answer, &s, NULL), 0);
	for (unsigned int i = 0; i < 200; i++) {
		check_eq(s.plain, 2 * i);
		s.plain++;
		check_eq(pirn_shared_event_set(&s.there), 0);
		check_eq(pirn_shared_event_wait(&s.here), 0);
	}
	check_eq(pirn_shared_event_wait_until(&manual, PIRN_TRY), -EAGAIN);
	check_eq(pirn_shared_event_set(&manual), 0);
	check_eq(pirn_shared_event_wait(&manual), 0);
	check_eq(pirn_shared_event_wait(&manual), 0);
	check_eq(pirn_shared_event_clear(&manual), 0);
	deadline = pirn_now() + MS;
	check_eq(pirn_shared_event_wait_until(&manual, deadline), -ETIMEDOUT);
	check_op(clock_ns(), >=, deadline);
	check_eq(pirn_shared_event_destroy(&manual), 0);
	return 0;
}

TEST(events_go_to_and_fro_between_cores)
{
	run_on_cores(NULL, question, NULL);
}

/* ----------------------------------------------------------------- fifos */

struct item {
	uint32_t sender;
	uint32_t number;
	uint64_t check[5];
};

#define SENDERS 2048u	/* two a core */

struct traffic {
	struct pirn_shared_fifo fifo;
	struct item ring[4];
	unsigned int each;
	atomic_uint senders;
	atomic_uint senders_left;
	atomic_uint receivers;
	atomic_uint sent;
	atomic_uint received;
	atomic_uchar *seen;
};

static void send_some(struct traffic *t)
{
	struct item item = { .sender = atomic_fetch_add(&t->senders, 1) };

	check_op(item.sender, <, SENDERS);
	for (item.number = 0; item.number < t->each; item.number++) {
		uint64_t deadline = PIRN_NEVER;
		int err;

		fill(item.check, sizeof(item.check), item.number, item.sender);
		if (item.number % 5 == 0)
			deadline = pirn_now() + MS / 20;
		err = pirn_shared_fifo_send_until(&t->fifo, &item, deadline);
		if (err)
			check_eq(err, -ETIMEDOUT);
		else
			atomic_fetch_add(&t->sent, 1);
	}
	if (atomic_fetch_sub(&t->senders_left, 1) == 1)
		check_eq(pirn_shared_fifo_close(&t->fifo), 0);
}

/* A sender's items come in order to each receiver. */
static void receive_all(struct traffic *t)
{
	int64_t last[SENDERS];
	struct item item;
	int err;

	memset(last, -1, sizeof(last));
	while (!(err = pirn_shared_fifo_receive(&t->fifo, &item))) {
		check_op(item.sender, <, SENDERS);
		check_filled(item.check, sizeof(item.check), item.number,
			     item.sender);
		check_op(item.number, >, last[item.sender]);
		last[item.sender] = item.number;
		check_eq(atomic_fetch_add(&t->seen[item.sender * t->each +
						   item.number], 1), 0);
		atomic_fetch_add(&t->received, 1);
	}
	check_eq(err, -EPIPE);
}

/* Half of the fibers of each core send. */
static int send_or_receive(void *arg)
{
	struct traffic *t = arg;
	unsigned int n = atomic_fetch_add(&t->receivers, 1);

	if (n % 2)
		receive_all(t);
	else
		send_some(t);
	return 0;
}

static int traffic(void *arg)
{
	static struct traffic t;
	unsigned int cores = (unsigned int)pirn_core_count();

	(void)arg;
	t.each = scaled(300, 40);
	t.fifo = (struct pirn_shared_fifo)PIRN_SHARED_FIFO_INIT(cores - 1,
								t.ring);
	atomic_store(&t.senders_left, 2 * cores);
	t.seen = calloc(SENDERS * (size_t)t.each, sizeof(*t.seen));
	check(t.seen);
	run_fibers_everywhere(4, send_or_receive, &t);
	check_eq(atomic_load(&t.received), atomic_load(&t.sent));
	check_op(atomic_load(&t.sent), >, cores * t.each);
	check_eq(pirn_shared_fifo_destroy(&t.fifo), 0);
	free(t.seen);
	return 0;
}

TEST(items_between_cores_come_once_and_in_order)
{
	run_on_cores(NULL, traffic, NULL);
}

static int receive_there(void *arg)
{
	struct pirn_shared_fifo *fifo = arg;
	struct item item;

	return pirn_shared_fifo_receive(fifo, &item);
}

static int fifo_edges(void *arg)
{
	static struct item ring[1], item;
	struct pirn_shared_fifo fifo = PIRN_SHARED_FIFO_INIT(1, ring);
	uint64_t deadline = pirn_now() + 2 * MS;
	struct waiter w;

	(void)arg;
	check_eq(pirn_shared_fifo_receive_until(&fifo, &item, PIRN_TRY),
		 -EAGAIN);
	check_eq(pirn_shared_fifo_receive_until(&fifo, &item, deadline),
		 -ETIMEDOUT);
	check_op(clock_ns(), >=, deadline);
	waiter_start(&w, receive_there, &fifo);
	while (pirn_shared_fifo_destroy(&fifo) != -EBUSY)
		check_eq(pirn_sleep(MS / 10), 0);
	check_eq(w.result, WAITS);
	check_eq(pirn_shared_fifo_close(&fifo), 0);
	check_eq(waiter_end(&w), -EPIPE);
	check_eq(pirn_shared_fifo_close(&fifo), -EALREADY);
	check_eq(pirn_shared_fifo_send(&fifo, &item), -EPIPE);
	return 0;
}

TEST(a_fifo_of_another_core_closes_and_times_out)
{
	run_on_cores(NULL, fifo_edges, NULL);
}

static int select_at_home(void *arg)
{
	struct pirn_shared_fifo *fifo = arg;
	struct item item = { .number = 7 };

	return pirn_shared_fifo_send(fifo, &item);
}

static int home_select(void *arg)
{
	static struct item ring[1], item;
	struct pirn_shared_fifo fifo = PIRN_SHARED_FIFO_INIT(0, ring);
	struct pirn_select_case one = {
		.kind = PIRN_SELECT_RECEIVE, .object = &fifo.local,
		.item = &item,
	};
	int result = -1;

	(void)arg;
	check_eq(pirn_select(&one, 1, 0, PIRN_TRY), -EAGAIN);
	check_eq(pirn_call(1, select_at_home, &fifo, &result), 0);
	check_eq(result, 0);
	check_eq(pirn_select(&one, 1, 0, PIRN_NEVER), 0);
	check_eq(item.number, 7);
	return 0;
}

TEST(at_home_the_inner_object_is_an_ordinary_one)
{
	run_on_cores(NULL, home_select, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_shared_by_all_cores_and_none_is_lost),
		cmocka_unit_test(a_wait_from_another_core_keeps_deadline_and_order),
		cmocka_unit_test(events_go_to_and_fro_between_cores),
		cmocka_unit_test(items_between_cores_come_once_and_in_order),
		cmocka_unit_test(a_fifo_of_another_core_closes_and_times_out),
		cmocka_unit_test(at_home_the_inner_object_is_an_ordinary_one),
	};

	return run_program(argc, argv, "sync_shared", tests, array_size(tests));
}
