// SPDX-License-Identifier: MIT
/* Ports: order, fullness, deadlines, hand-over of buffers, closing, stale handles. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <pirn/message.h>

#include "helpers.h"

#define POLL_NS 50000u

static struct pirn_port port;

static int open_8(void *arg)
{
	return pirn_port_open(&port, 8, *(uint32_t *)arg);
}

static int open_buffers(void *arg)
{
	return pirn_port_open_buffers(&port, *(uint32_t *)arg);
}

static int free_port(void *arg)
{
	return pirn_port_free(*(struct pirn_port *)arg);
}

/* Runs fn(arg) on @core; what it returned. */
static int on(unsigned int core, int (*fn)(void *arg), void *arg)
{
	int result;

	check_eq(pirn_call(core, fn, arg, &result), 0);
	return result;
}

static void open_on(unsigned int core, uint32_t capacity)
{
	check_eq(on(core, open_8, &capacity), 0);
	check_eq(port.core, core);
}

static int send_one(void *arg)
{
	return pirn_port_send(port, arg, 8);
}

static int receive_one(void *arg)
{
	return pirn_port_receive(port, arg, 8);
}

/* ------------------------------------------------------------------ order */

#define SENDERS 5u
#define EACH 300u

struct item {
	uint32_t sender;
	uint32_t number;
	uint64_t check[7];
};

static atomic_uint next_sender;

static int send_many(void *arg)
{
	unsigned int i, k, sender = atomic_fetch_add(&next_sender, 1);
	struct item item;

	(void)arg;
	for (i = 0; i < EACH; i++) {
		item = (struct item){ .sender = sender, .number = i };
		for (k = 0; k < 7; k++)
			item.check[k] = (uint64_t)sender << 32 | (i + k);
		check_eq(pirn_port_send(port, &item, sizeof(item)), 0);
		memset(&item, 0xee, sizeof(item));
	}
	return 0;
}

/* Two receivers: each takes the oldest, so each sees a sender's in order. */
static int receive_many(void *arg)
{
	unsigned int last[64] = { 0 }, k;
	atomic_uint *received = arg;
	struct item item;
	int err;

	while (!(err = pirn_port_receive(port, &item, sizeof(item)))) {
		check_op(item.sender, <, 64);
		check_op(item.number + 1, >, last[item.sender]);
		last[item.sender] = item.number + 1;
		for (k = 0; k < 7; k++)
			check_eq(item.check[k],
				 (uint64_t)item.sender << 32 | (item.number + k));
		atomic_fetch_add(received, 1);
	}
	check_eq(err, -EPIPE);
	return 0;
}

static int open_items(void *arg)
{
	struct pirn_fiber *fiber[2];
	atomic_uint received = 0;
	unsigned int i, all = SENDERS * EACH * (unsigned int)pirn_core_count();

	check_eq(pirn_port_open(&port, sizeof(struct item), *(uint32_t *)arg), 0);
	for (i = 0; i < 2; i++)
		check_eq(pirn_spawn(&fiber[i], receive_many, &received), 0);
	run_fibers_everywhere(SENDERS, send_many, NULL);
	check_eq(pirn_port_close(port), 0);
	for (i = 0; i < 2; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(received, all);
	return 0;
}

static int in_order(void *arg)
{
	uint32_t capacity;

	(void)arg;
	for (capacity = 1; capacity < 40; capacity = capacity * 3 + 1) {
		next_sender = 0;
		check_eq(on(1, open_items, &capacity), 0);
	}
	return 0;
}

TEST(items_of_a_sender_stay_in_order)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = 2;
	run_on_cores(&opt, in_order, NULL);
	opt.call_depth = 64;
	opt.spin_ns = PIRN_NO_SPIN;
	run_on_cores(&opt, in_order, NULL);
}

/* Waiting senders get in as they came: from this core and from another. */
static int first_come(void *arg)
{
	struct pirn_fiber *fiber[20];
	uint64_t value[20], got;
	unsigned int i, home = *(unsigned int *)arg;

	open_on(home, 1);
	for (i = 0; i < 20; i++) {
		value[i] = i;
		check_eq(pirn_spawn(&fiber[i], send_one, &value[i]), 0);
	}
	check_eq(pirn_sleep(POLL_NS), 0);
	for (i = 0; i < 20; i++) {
		check_eq(on(home, receive_one, &got), 0);
		check_eq(got, i);
	}
	for (i = 0; i < 20; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(on(home, free_port, &port), 0);
	return 0;
}

TEST(waiting_senders_go_in_order)
{
	unsigned int home;

	for (home = 0; home < 2; home++)
		run_on_cores(NULL, first_come, &home);
}

/* -------------------------------------------------------------- deadlines */

static int receive_until(void *arg)
{
	uint64_t value;

	return pirn_port_receive_until(port, &value, 8, *(uint64_t *)arg);
}

/* An item that was refused must not turn up; one that was taken must. */
static int deadlines(void *arg)
{
	unsigned int home = *(unsigned int *)arg;
	uint64_t one = 1, two = 2, three = 3, got, soon, past = 1;

	open_on(home, 1);
	check_eq(pirn_port_send_until(port, &one, 8, past), 0);
	check_eq(pirn_port_send_until(port, &two, 8, past), -ETIMEDOUT);
	soon = pirn_now() + 2000000;
	check_eq(pirn_port_send_until(port, &two, 8, soon), -ETIMEDOUT);
	check_op(pirn_now(), >=, soon);
	check_eq(on(home, receive_one, &got), 0);
	check_eq(got, 1);
	check_eq(pirn_port_send_until(port, &three, 8, pirn_now() + 60000000000), 0);
	check_eq(on(home, receive_one, &got), 0);
	check_eq(got, 3);
	check_eq(on(home, receive_until, &past), -ETIMEDOUT);
	soon = pirn_now() + 2000000;
	check_eq(on(home, receive_until, &soon), -ETIMEDOUT);
	check_op(pirn_now(), >=, soon);
	check_eq(on(home, free_port, &port), 0);
	return 0;
}

TEST(deadlines_of_sends_and_receives)
{
	unsigned int home;

	for (home = 0; home < 2; home++)
		run_on_cores(NULL, deadlines, &home);
}

static struct {
	atomic_uint sent;
	atomic_uint refused;
	_Atomic uint64_t sum;
} race;

static int send_with_deadlines(void *arg)
{
	unsigned int i;
	struct rng rng = { (uint64_t)(uintptr_t)pirn_self() };

	(void)arg;
	for (i = 0; i < scaled(300, 30); i++) {
		uint64_t value = rng_below(&rng, 1u << 20);
		uint64_t in = rng_below(&rng, 30000);
		int err = pirn_port_send_until(port, &value, 8, pirn_now() + in);

		if (!err) {
			atomic_fetch_add(&race.sent, 1);
			atomic_fetch_add(&race.sum, value);
		} else {
			check_eq(err, -ETIMEDOUT);
			atomic_fetch_add(&race.refused, 1);
		}
	}
	return 0;
}

static int receive_slowly(void *arg)
{
	struct rng rng = { 5 };
	uint64_t value, sum = 0;
	unsigned int count = 0;
	int err;

	(void)arg;
	for (;;) {
		err = pirn_port_receive_until(port, &value, 8,
					      pirn_now() + rng_below(&rng, 20000));
		if (err == -EPIPE)
			break;
		if (!err) {
			count++;
			sum += value;
			if (rng_below(&rng, 4) == 0)
				check_eq(pirn_sleep(rng_below(&rng, 20000)), 0);
		} else {
			check_eq(err, -ETIMEDOUT);
		}
	}
	check_eq(count, race.sent);
	check_eq(sum, race.sum);
	return 0;
}

static int close_late(void *arg)
{
	struct pirn_fiber *fiber;

	check_eq(pirn_spawn(&fiber, receive_slowly, arg), 0);
	run_fibers_everywhere(8, send_with_deadlines, arg);
	check_eq(pirn_port_close(port), 0);
	check_eq(pirn_join(fiber, NULL), 0);
	return 0;
}

static int deadline_race(void *arg)
{
	open_on(1, 2);
	check_eq(on(1, close_late, arg), 0);
	check_op(race.sent, >, 0);
	check_op(race.refused, >, 0);
	return 0;
}

/* Answer and deadline at the same time: sent is received, refused is not. */
TEST(deadlines_race_with_room)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = 4;
	run_on_cores(&opt, deadline_race, NULL);
}

/* ---------------------------------------------------------------- closing */

static atomic_uint got_epipe;

static int send_into_close(void *arg)
{
	uint64_t value = 7;

	(void)arg;
	if (pirn_port_send(port, &value, 8) == -EPIPE)
		atomic_fetch_add(&got_epipe, 1);
	return 0;
}

static int receive_from_close(void *arg)
{
	uint64_t value;

	(void)arg;
	if (pirn_port_receive(port, &value, 8) == -EPIPE)
		atomic_fetch_add(&got_epipe, 1);
	return 0;
}

static int receivers_into_close(void *arg)
{
	run_fibers(6, receive_from_close, arg);
	return 0;
}

static int closing(void *arg)
{
	unsigned int home = *(unsigned int *)arg, i;
	struct pirn_fiber *fiber[10];
	uint64_t got, value = 9;

	/* full, with senders waiting */
	open_on(home, 3);
	got_epipe = 0;
	for (i = 0; i < 10; i++)
		check_eq(pirn_spawn(&fiber[i], send_into_close, NULL), 0);
	check_eq(pirn_sleep(POLL_NS), 0);
	check_eq(pirn_port_close(port), 0);
	for (i = 0; i < 10; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(got_epipe, 7);
	check_eq(pirn_port_send(port, &value, 8), -EPIPE);
	check_eq(pirn_port_close(port), 0);
	for (i = 0; i < 3; i++) {
		check_eq(on(home, receive_one, &got), 0);
		check_eq(got, 7);
	}
	check_eq(on(home, receive_one, &got), -EPIPE);
	check_eq(on(home, free_port, &port), 0);

	/* empty, with receivers waiting: by close, and by free */
	for (i = 0; i < 2; i++) {
		open_on(home, 3);
		got_epipe = 0;
		check_eq(pirn_spawn(NULL, receive_from_close, NULL), 0);
		check_eq(pirn_post(home, receivers_into_close, NULL), 0);
		check_eq(pirn_sleep(POLL_NS), 0);
		if (!i)
			check_eq(pirn_port_close(port), 0);
		check_eq(on(home, free_port, &port), 0);
		while (got_epipe < (home ? 6u : 7u))
			check_eq(pirn_sleep(POLL_NS), 0);
	}
	return 0;
}

TEST(close_ends_senders_and_drains)
{
	unsigned int home;

	for (home = 0; home < 2; home++)
		run_on_cores(NULL, closing, &home);
}

/* ---------------------------------------------------------- wrong handles */

static int wrong_on_home(void *arg)
{
	struct pirn_port old = port, again;
	uint64_t value = 1;
	char big[128] = { 0 };
	void *buf;
	size_t bytes;

	(void)arg;
	check_eq(pirn_port_open(&again, 0, 1), -EINVAL);
	check_eq(pirn_port_open(&again, PIRN_PORT_ITEM + 1, 1), -EINVAL);
	check_eq(pirn_port_open(&again, (size_t)1 << 33, 1), -EINVAL);
	check_eq(pirn_port_open(&again, 8, 0), -EINVAL);
	check_eq(pirn_port_open(&again, 8, PIRN_PORT_MOST + 1), -EINVAL);
	check_eq(pirn_port_open(NULL, 8, 1), -EINVAL);
	check_eq(pirn_port_receive_until(port, &value, 4, 1), -EINVAL);
	check_eq(pirn_port_receive_until(port, big, sizeof(big), 1), -EINVAL);
	check_eq(pirn_port_take(port, &buf, &bytes, 1), -EINVAL);
	check_eq(pirn_port_free(port), 0);
	check_eq(pirn_port_free(port), -ESTALE);
	check_eq(pirn_port_receive_until(port, &value, 8, 1), -ESTALE);
	/* Its place is another's now, of the same type. */
	check_eq(pirn_port_open(&again, 8, 1), 0);
	check_eq(again.index, old.index);
	check(again.generation != old.generation);
	check_eq(pirn_port_send(old, &value, 8), -ESTALE);
	check_eq(pirn_port_receive_until(again, &value, 8, 1), -ETIMEDOUT);
	return 0;
}

static int wrong(void *arg)
{
	struct pirn_port none = { 0 }, bad;
	uint64_t value = 1;

	(void)arg;
	check_eq(pirn_port_send(none, &value, 8), -EINVAL);
	open_on(1, 4);
	check_eq(pirn_port_send(port, &value, 4), -EINVAL);
	check_eq(pirn_port_send(port, NULL, 8), -EINVAL);
	check_eq(pirn_port_give(port, &value, 8, PIRN_NEVER), -EINVAL);
	check_eq(pirn_port_receive(port, &value, 8), -EXDEV);
	check_eq(pirn_port_free(port), -EXDEV);
	bad = port;
	bad.index = 1u << 31;
	check_eq(pirn_port_send(bad, &value, 8), -EINVAL);
	bad = port;
	bad.core = 5000;
	check_eq(pirn_port_send(bad, &value, 8), -EINVAL);
	check_eq(pirn_port_receive(bad, &value, 8), -EINVAL);
	bad = port;
	bad.type = 16;
	check_eq(pirn_port_send(bad, "0123456789abcdef", 16), -EINVAL);
	bad.type = 4096;
	check_eq(pirn_port_send(bad, &value, 4096), -EINVAL);
	check_eq(on(1, wrong_on_home, NULL), 0);
	check_eq(pirn_port_send(port, &value, 8), -ESTALE);
	check(strstr(pirn_reason(), "freed"));
	check_eq(pirn_port_close(port), -ESTALE);
	return 0;
}

TEST(wrong_and_stale_handles)
{
	uint64_t value;

	check_eq(pirn_port_open(&port, 8, 1), -EPERM);
	check_eq(pirn_port_send(port, &value, 8), -EPERM);
	run_on_cores(NULL, wrong, NULL);
}

/* Ports come and go while others send to what may be gone. */
static struct pirn_port shown[4];
static atomic_uint version[4];
static atomic_bool enough;

static int send_to_shown(void *arg)
{
	struct rng rng = { (uint64_t)(uintptr_t)pirn_self() };
	unsigned int *sent = arg;

	while (!atomic_load(&enough)) {
		unsigned int i = (unsigned int)rng_below(&rng, 4);
		unsigned int v = atomic_load(&version[i]);
		struct pirn_port to;
		uint64_t value = v;
		int err;

		check_eq(pirn_yield(), 0);
		if (v % 2)	/* being changed */
			continue;
		__atomic_load(&shown[i].generation, &to.generation, __ATOMIC_RELAXED);
		__atomic_load(&shown[i].index, &to.index, __ATOMIC_RELAXED);
		to.core = 1;
		to.type = 8;
		if (atomic_load(&version[i]) != v || !to.generation)
			continue;
		err = pirn_port_send(to, &value, 8);
		if (!err)
			++*sent;
		else
			check(err == -EPIPE || err == -ESTALE);
	}
	return 0;
}

static int come_and_go(void *arg)
{
	struct rng rng = { 77 };
	unsigned int round, *received = arg;

	for (round = 0; round < scaled(3000, 100); round++) {
		unsigned int i = (unsigned int)rng_below(&rng, 4);
		uint64_t value;

		atomic_fetch_add(&version[i], 1);
		if (shown[i].generation) {
			while (!pirn_port_receive_until(shown[i], &value, 8, 1)) {
				/* never one that was sent to an earlier port */
				check_eq(value + 1, atomic_load(&version[i]));
				++*received;
			}
			check_eq(pirn_port_free(shown[i]), 0);
		}
		port.generation = 0;
		check_eq(pirn_port_open(&port, 8, 2), 0);
		__atomic_store(&shown[i].generation, &port.generation, __ATOMIC_RELAXED);
		__atomic_store(&shown[i].index, &port.index, __ATOMIC_RELAXED);
		shown[i].core = 1;
		shown[i].type = 8;
		atomic_fetch_add(&version[i], 1);
		check_eq(pirn_yield(), 0);
	}
	atomic_store(&enough, true);
	return 0;
}

static int reuse(void *arg)
{
	struct pirn_fiber *fiber[6];
	unsigned int i, sent = 0, received = 0;

	for (i = 0; i < 6; i++)
		check_eq(pirn_spawn(&fiber[i], send_to_shown, &sent), 0);
	(void)arg;
	check_eq(on(1, come_and_go, &received), 0);
	for (i = 0; i < 4; i++)
		check_eq(pirn_port_close(shown[i]), 0);
	for (i = 0; i < 6; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_op(received, >, 0);
	check_op(received, <=, sent);
	return 0;
}

TEST(a_stale_handle_never_reaches_the_next_port)
{
	run_on_cores(NULL, reuse, NULL);
}

/* ---------------------------------------------------------------- buffers */

static int take_and_free(void *arg)
{
	unsigned int i, n = *(unsigned int *)arg;
	size_t bytes;
	void *buf;

	for (i = 0; i < n; i++) {
		check_eq(pirn_port_take(port, &buf, &bytes, PIRN_NEVER), 0);
		check_filled(buf, 4096, bytes, 3);
		if (i % 2)
			check_eq(pirn_buf_free(buf), 0);
		else
			check_eq(pirn_buf_return(buf), 0);
	}
	return 0;
}

static unsigned int count_free(void)
{
	void *buf[300];
	unsigned int n, i;

	for (n = 0; n < 300 && (buf[n] = pirn_buf_alloc(4096)); n++)
		;
	for (i = 0; i < n; i++)
		check_eq(pirn_buf_free(buf[i]), 0);
	return n;
}

/* More buffers than the pool has go over, so each must come back. */
static int hand_over(void *arg)
{
	unsigned int i, n = 600, all = count_free();
	uint32_t capacity = 20;
	uint64_t value;
	void *buf;

	(void)arg;
	check_eq(on(1, open_buffers, &capacity), 0);
	check_eq(pirn_post(1, take_and_free, &n), 0);
	for (i = 0; i < n; i++) {
		while (!(buf = pirn_buf_alloc(4096)))
			check_eq(pirn_yield(), 0);
		fill(buf, 4096, i, 3);
		check_eq(pirn_port_give(port, buf, i, PIRN_NEVER), 0);
	}
	while (count_free() != all)
		check_eq(pirn_sleep(POLL_NS), 0);

	/* What could not be given stays the sender's. */
	check_eq(pirn_port_give(port, &value, 8, PIRN_NEVER), -EFAULT);
	check_eq(pirn_port_give(port, NULL, 8, PIRN_NEVER), -EFAULT);
	check_eq(pirn_port_send(port, &value, 16), -EINVAL);
	for (i = 0; i < capacity; i++)
		check_eq(pirn_port_give(port, pirn_buf_alloc(4096), 0, 1), 0);
	buf = pirn_buf_alloc(4096);
	check_eq(pirn_port_give(port, buf, 0, 1), -ETIMEDOUT);
	check_eq(pirn_port_give(port, buf, 0, pirn_now() + 1000000), -ETIMEDOUT);
	check_eq(count_free(), all - capacity - 1);
	check_eq(pirn_buf_free(buf), 0);
	/* Those in a port that is freed go back to their pool. */
	check_eq(on(1, free_port, &port), 0);
	while (count_free() != all)
		check_eq(pirn_sleep(POLL_NS), 0);
	return 0;
}

TEST(buffers_change_hands)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.pool_bytes = MiB;
	run_on_cores(&opt, hand_over, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_of_a_sender_stay_in_order),
		cmocka_unit_test(waiting_senders_go_in_order),
		cmocka_unit_test(deadlines_of_sends_and_receives),
		cmocka_unit_test(deadlines_race_with_room),
		cmocka_unit_test(close_ends_senders_and_drains),
		cmocka_unit_test(wrong_and_stale_handles),
		cmocka_unit_test(a_stale_handle_never_reaches_the_next_port),
		cmocka_unit_test(buffers_change_hands),
	};

	return run_program(argc, argv, "port", tests, array_size(tests));
}
