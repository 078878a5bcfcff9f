// SPDX-License-Identifier: MIT
/* Fifos and select: what they promise besides sync.c. */
#include "waiter.h"

struct item {
	uint64_t word[8];
};

struct transfer {
	struct pirn_fifo *fifo;
	struct item item;
	uint64_t deadline;
};

static int send(void *arg)
{
	struct transfer *t = arg;

	return pirn_fifo_send_until(t->fifo, &t->item, t->deadline);
}

static int receive(void *arg)
{
	struct transfer *t = arg;

	return pirn_fifo_receive_until(t->fifo, &t->item, t->deadline);
}

static void send_number(struct pirn_fifo *fifo, uint64_t number)
{
	struct item item;

	fill(&item, sizeof(item), 0, number);
	check_eq(pirn_fifo_send_until(fifo, &item, PIRN_TRY), 0);
}

static void receive_number(struct pirn_fifo *fifo, uint64_t number)
{
	struct item item;

	check_eq(pirn_fifo_receive_until(fifo, &item, PIRN_TRY), 0);
	check_filled(&item, sizeof(item), 0, number);
}

/* ------------------------------------------------------------------ fifo */

static int by_value(void *arg)
{
	struct item ring[3];
	struct pirn_fifo fifo = PIRN_FIFO_INIT(ring);
	struct transfer t[4];
	struct waiter w[4];
	uint64_t sent = 0, received = 0;

	(void)arg;
	for (int round = 0; round < 10; round++) {
		while (pirn_fifo_count(&fifo) < 3)
			send_number(&fifo, sent++);
		/* four more wait to send; each takes the place of one taken out */
		for (int i = 0; i < 4; i++) {
			t[i] = (struct transfer){ &fifo, .deadline = PIRN_NEVER };
			fill(&t[i].item, sizeof(t[i].item), 0, sent++);
			waiter_start(&w[i], send, &t[i]);
			check_eq(w[i].result, WAITS);
		}
		for (int i = 0; i < 5 + round % 3; i++)
			receive_number(&fifo, received++);
		for (int i = 0; i < 4; i++)
			check_eq(waiter_end(&w[i]), 0);
	}
	while (received < sent)
		receive_number(&fifo, received++);
	/* and those who wait to receive get them in their order */
	for (int i = 0; i < 4; i++) {
		t[i] = (struct transfer){ &fifo, .deadline = PIRN_NEVER };
		waiter_start(&w[i], receive, &t[i]);
		check_eq(w[i].result, WAITS);
	}
	for (int i = 0; i < 5; i++)
		send_number(&fifo, sent++);
	for (int i = 0; i < 4; i++) {
		check_eq(waiter_end(&w[i]), 0);
		check_filled(&t[i].item, sizeof(t[i].item), 0, received++);
	}
	receive_number(&fifo, received++);
	check_eq(pirn_fifo_receive_until(&fifo, &t[0].item, PIRN_TRY), -EAGAIN);
	return 0;
}

TEST(items_come_out_as_and_in_the_order_they_went_in)
{
	run_on(NULL, by_value, NULL);
}

static int sizes(void *arg)
{
	static char memory[PIRN_FIFO_MAX_ITEM * 5 + 16];

	(void)arg;
	for (unsigned int bytes = 1; bytes <= PIRN_FIFO_MAX_ITEM; bytes++) {
		struct pirn_fifo fifo;
		char item[PIRN_FIFO_MAX_ITEM + 1];

		memset(memory, 0x5a, sizeof(memory));
		check_eq(pirn_fifo_init(&fifo, memory + 8, bytes, 5), 0);
		for (int i = 0; i < 23; i++) {
			memset(item, i, sizeof(item));
			check_eq(pirn_fifo_send(&fifo, item), 0);
			if (i < 4)
				continue;
			memset(item, 0x3c, sizeof(item));
			check_eq(pirn_fifo_receive(&fifo, item), 0);
			for (unsigned int k = 0; k < sizeof(item); k++)
				check_eq(item[k], k < bytes ? i - 4 : 0x3c);
		}
		check_eq(memory[7], 0x5a);
		check_eq(memory[8 + 5 * bytes], 0x5a);
	}
	return 0;
}

TEST(items_of_every_size_stay_in_their_places)
{
	run_on(NULL, sizes, NULL);
}

static int closing(void *arg)
{
	struct item ring[2];
	struct pirn_fifo fifo = PIRN_FIFO_INIT(ring);
	struct transfer t = { &fifo, .deadline = PIRN_NEVER };
	struct transfer to = t;
	struct waiter w[2];
	struct item item;

	(void)arg;
	fill(&t.item, sizeof(t.item), 0, 9);
	waiter_start(&w[0], receive, &to);
	waiter_start(&w[1], receive, &to);
	check_eq(pirn_fifo_close(&fifo), 0);
	check_eq(waiter_end(&w[0]), -EPIPE);
	check_eq(waiter_end(&w[1]), -EPIPE);
	check_eq(pirn_fifo_close(&fifo), -EALREADY);
	check_eq(pirn_fifo_destroy(&fifo), 0);

	send_number(&fifo, 1);
	send_number(&fifo, 2);
	waiter_start(&w[0], send, &t);
	waiter_start(&w[1], send, &t);
	check_eq(pirn_fifo_close(&fifo), 0);
	check_eq(waiter_end(&w[0]), -EPIPE);
	check_eq(waiter_end(&w[1]), -EPIPE);
	check_eq(pirn_fifo_send(&fifo, &item), -EPIPE);
	receive_number(&fifo, 1);
	check_eq(pirn_fifo_send(&fifo, &item), -EPIPE);
	receive_number(&fifo, 2);
	/* what waited has not been sent */
	check_eq(pirn_fifo_receive(&fifo, &item), -EPIPE);
	check_eq(pirn_fifo_receive_until(&fifo, &item, PIRN_TRY), -EPIPE);
	return 0;
}

TEST(a_closed_fifo_gives_out_what_it_holds)
{
	run_on(NULL, closing, NULL);
}

static int wrong_fifos(void *arg)
{
	struct pirn_fifo fifo = { 0 };
	char byte = 0;

	(void)arg;
	check_eq(pirn_fifo_send(&fifo, &byte), -EINVAL);
	check_eq(pirn_fifo_receive(&fifo, &byte), -EINVAL);
	check_eq(pirn_fifo_close(&fifo), -EINVAL);
	check_eq(pirn_fifo_init(&fifo, &byte, 0, 1), -EINVAL);
	check_eq(pirn_fifo_init(&fifo, &byte, 1, 0), -EINVAL);
	check_eq(pirn_fifo_init(&fifo, &byte, PIRN_FIFO_MAX_ITEM + 1, 1),
		 -EINVAL);
	check_eq(pirn_fifo_init(&fifo, &byte, 1, 1ull << 32), -EINVAL);
	check_eq(pirn_fifo_init(&fifo, &byte, (1ull << 32) + 1, 1), -EINVAL);
	check_eq(pirn_fifo_init(&fifo, NULL, 1, 1), -EINVAL);
	check_eq(pirn_fifo_init(&fifo, &byte, 1, 1), 0);
	check_eq(pirn_fifo_send(&fifo, &byte), 0);
	return 0;
}

TEST(a_fifo_without_items_or_memory_is_refused)
{
	run_on(NULL, wrong_fifos, NULL);
}

/* ---------------------------------------------------------------- select */

struct several {
	struct pirn_fifo a, b;
	struct pirn_event event;
	struct pirn_future future;
	struct item in, out;
	int64_t value;
	struct pirn_select_case cases[6];
	unsigned int n;
	unsigned int flags;
	uint64_t deadline;
	struct item ring_a[2], ring_b[1];
};

/* Receive from a, send to b (full), event, future: nothing is ready. */
static void several_start(struct several *s)
{
	memset(s, 0, sizeof(*s));
	s->a = (struct pirn_fifo)PIRN_FIFO_INIT(s->ring_a);
	s->b = (struct pirn_fifo)PIRN_FIFO_INIT(s->ring_b);
	s->event = (struct pirn_event)PIRN_EVENT_AUTOMATIC_INIT;
	s->deadline = PIRN_NEVER;
	send_number(&s->b, 1);
	fill(&s->out, sizeof(s->out), 0, 2);
	s->cases[0] = (struct pirn_select_case){
		.kind = PIRN_SELECT_RECEIVE, .object = &s->a, .item = &s->in };
	s->cases[1] = (struct pirn_select_case){
		.kind = PIRN_SELECT_SEND, .object = &s->b, .item = &s->out };
	s->cases[2] = (struct pirn_select_case){
		.kind = PIRN_SELECT_EVENT, .object = &s->event };
	s->cases[3] = (struct pirn_select_case){
		.kind = PIRN_SELECT_FUTURE, .object = &s->future,
		.item = &s->value };
	s->cases[4] = (struct pirn_select_case){ .kind = PIRN_SELECT_NOTHING };
	/* the same fifo again */
	s->cases[5] = s->cases[0];
	s->n = 6;
}

static int select_any(void *arg)
{
	struct several *s = arg;

	return pirn_select(s->cases, s->n, s->flags, s->deadline);
}

/* Nobody waits in any queue. */
static void check_left(const struct several *s)
{
	check(!s->a.receivers.first && !s->a.receivers.last);
	check(!s->a.senders.first && !s->b.receivers.first);
	check(!s->b.senders.first && !s->b.senders.last);
	check(!s->event.waiters.first && !s->event.waiters.last);
	check(!s->future.waiters.first && !s->future.waiters.last);
}

static void make_ready(struct several *s, int what)
{
	if (what == 0)
		send_number(&s->a, 5);
	else if (what == 1)
		receive_number(&s->b, 1);
	else if (what == 2)
		check_eq(pirn_event_set(&s->event), 0);
	else
		check_eq(pirn_future_set(&s->future, -EIO, 99), 0);
}

/* The case @what was done, and no other. */
static void check_done(struct several *s, int what)
{
	check_eq(s->cases[what].result, what == 3 ? -EIO : 0);
	check_left(s);
	check_eq(s->value, what == 3 ? 99 : 0);
	check_eq(pirn_fifo_count(&s->a), 0);
	check_eq(pirn_fifo_count(&s->b), 1);
	receive_number(&s->b, what == 1 ? 2 : 1);
	if (what == 0)
		check_filled(&s->in, sizeof(s->in), 0, 5);
	else
		check_eq(s->in.word[0], 0);
	check_eq(pirn_event_wait_until(&s->event, PIRN_TRY), -EAGAIN);
}

static int first_of_several(void *arg)
{
	static struct several s;
	struct waiter w;

	(void)arg;
	for (int what = 0; what < 4; what++) {
		/* ready when it comes */
		several_start(&s);
		s.flags = PIRN_SELECT_IN_ORDER;
		check_eq(pirn_select(s.cases, s.n, 0, PIRN_TRY), -EAGAIN);
		make_ready(&s, what);
		check_eq(select_any(&s), what);
		check_done(&s, what);
		/* or later */
		several_start(&s);
		waiter_start(&w, select_any, &s);
		check_eq(w.result, WAITS);
		make_ready(&s, what);
		check_left(&s);
		check_eq(waiter_end(&w), what);
		check_done(&s, what);
	}
	return 0;
}

TEST(select_does_the_first_that_can_be_done_and_no_other)
{
	run_on(NULL, first_of_several, NULL);
}

static int one_of_two(void *arg)
{
	static struct several s;
	struct waiter w, second;
	struct transfer t = { &s.a, .deadline = PIRN_NEVER };

	(void)arg;
	/* two things happen before it runs: the second is not for it */
	several_start(&s);
	waiter_start(&w, select_any, &s);
	make_ready(&s, 0);
	make_ready(&s, 2);
	make_ready(&s, 0);
	check_eq(waiter_end(&w), 0);
	check_eq(pirn_event_wait_until(&s.event, PIRN_TRY), 0);
	receive_number(&s.a, 5);
	check_left(&s);

	/* in the queue of a it comes after who was there before */
	several_start(&s);
	waiter_start(&second, receive, &t);
	waiter_start(&w, select_any, &s);
	make_ready(&s, 0);
	check_eq(waiter_end(&second), 0);
	check_eq(w.result, WAITS);
	make_ready(&s, 0);
	check_eq(waiter_end(&w), 0);
	check_left(&s);
	return 0;
}

TEST(select_waits_in_turn_and_takes_one_thing)
{
	run_on(NULL, one_of_two, NULL);
}

static int leaves_early(void *arg)
{
	static struct several s;
	struct waiter w;

	(void)arg;
	several_start(&s);
	waiter_start(&w, select_any, &s);
	waiter_break(&w, -ECANCELED);
	check_left(&s);
	for (int what = 0; what < 4; what++)
		make_ready(&s, what);
	check_eq(waiter_end(&w), -ECANCELED);
	/* all of it is there for others */
	receive_number(&s.a, 5);
	check_eq(pirn_fifo_count(&s.b), 0);
	check_eq(pirn_event_wait_until(&s.event, PIRN_TRY), 0);
	check_eq(s.value, 0);

	several_start(&s);
	s.deadline = pirn_now() + MS;
	check_eq(select_any(&s), -ETIMEDOUT);
	check_op(clock_ns(), >=, s.deadline);
	check_left(&s);
	return 0;
}

TEST(select_that_ends_early_leaves_every_queue)
{
	run_on(NULL, leaves_early, NULL);
}

static int closed_while(void *arg)
{
	static struct several s;
	struct waiter w;

	(void)arg;
	several_start(&s);
	waiter_start(&w, select_any, &s);
	check_eq(pirn_fifo_close(&s.b), 0);
	check_eq(waiter_end(&w), 1);
	check_eq(s.cases[1].result, -EPIPE);
	check_left(&s);
	receive_number(&s.b, 1);

	/* two places in one queue that is ended as a whole */
	several_start(&s);
	waiter_start(&w, select_any, &s);
	check_eq(pirn_fifo_close(&s.a), 0);
	check_eq(waiter_end(&w), 0);
	check_eq(s.cases[0].result, -EPIPE);
	check_left(&s);
	/* ready at once, now */
	s.flags = PIRN_SELECT_IN_ORDER;
	check_eq(select_any(&s), 0);
	check_eq(s.cases[0].result, -EPIPE);
	return 0;
}

TEST(select_sees_a_fifo_closed)
{
	run_on(NULL, closed_while, NULL);
}

/* 3 things ready: 4,000 times out of 12,000 each, standard deviation 52. */
static int chosen_evenly(void *arg)
{
	static struct several s;
	unsigned int count[4] = { 0 };

	(void)arg;
	several_start(&s);
	s.event.automatic = 0;
	s.n = 4;
	make_ready(&s, 0);
	make_ready(&s, 2);
	make_ready(&s, 3);
	for (int i = 0; i < 12000; i++) {
		int chosen = select_any(&s);

		count[chosen]++;
		if (chosen == 0)
			send_number(&s.a, 5);
	}
	check_eq(count[1], 0);
	for (int i = 0; i < 4; i++)
		if (i != 1) {
			check_op(count[i], >, 3500);
			check_op(count[i], <, 4500);
		}
	s.flags = PIRN_SELECT_IN_ORDER;
	for (int i = 0; i < 100; i++) {
		check_eq(select_any(&s), 0);
		send_number(&s.a, 5);
	}
	receive_number(&s.a, 5);
	check_eq(select_any(&s), 2);
	return 0;
}

TEST(select_chooses_evenly_or_in_order)
{
	run_on(NULL, chosen_evenly, NULL);
}

static int wrong_selects(void *arg)
{
	static struct several s;

	(void)arg;
	several_start(&s);
	make_ready(&s, 0);
	check_eq(pirn_select(s.cases, 0, 0, PIRN_NEVER), -EINVAL);
	check_eq(pirn_select(NULL, 1, 0, PIRN_NEVER), -EINVAL);
	check_eq(pirn_select(s.cases, s.n, 2, PIRN_NEVER), -EINVAL);
	s.cases[4].kind = PIRN_SELECT_FUTURE + 1;
	check_eq(pirn_select(s.cases, s.n, 0, PIRN_NEVER), -EINVAL);
	s.cases[4].kind = PIRN_SELECT_EVENT;
	s.cases[4].object = &(struct pirn_event){ .core = (void *)&s };
	check_eq(pirn_select(s.cases, s.n, 0, PIRN_NEVER), -EXDEV);
	/* it was ready, and has not been done */
	receive_number(&s.a, 5);
	return 0;
}

TEST(a_wrong_select_does_nothing)
{
	struct several s;

	run_on(NULL, wrong_selects, NULL);
	memset(&s, 0, sizeof(s));
	check_eq(pirn_select(s.cases, 1, 0, PIRN_NEVER), -EPERM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_out_as_and_in_the_order_they_went_in),
		cmocka_unit_test(items_of_every_size_stay_in_their_places),
		cmocka_unit_test(a_closed_fifo_gives_out_what_it_holds),
		cmocka_unit_test(a_fifo_without_items_or_memory_is_refused),
		cmocka_unit_test(select_does_the_first_that_can_be_done_and_no_other),
		cmocka_unit_test(select_waits_in_turn_and_takes_one_thing),
		cmocka_unit_test(select_that_ends_early_leaves_every_queue),
		cmocka_unit_test(select_sees_a_fifo_closed),
		cmocka_unit_test(select_chooses_evenly_or_in_order),
		cmocka_unit_test(a_wrong_select_does_nothing),
	};

	return run_program(argc, argv, "sync_fifo", tests, array_size(tests));
}
