// SPDX-License-Identifier: MIT
/* Ports: order, fullness, closing, and buffers that change hands. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "port.h"

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
		/* where the seed does not decide in what order they began */
		if (!simulated())
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

/* ---------------------------------------------------------------- closing */

static atomic_uint got_epipe;
static atomic_uint receiving;	/* fibers of the home core that wait, or will next */

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
	atomic_fetch_add(&receiving, 1);
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
		receiving = 0;
		check_eq(pirn_post(home, receivers_into_close, NULL), 0);
		while (receiving < 6)
			check_eq(pirn_sleep(POLL_NS), 0);
		if (!i)
			check_eq(pirn_port_close(port), 0);
		check_eq(on(home, free_port, &port), 0);
		while (got_epipe < 6)
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

/* ---------------------------------------------------------------- buffers */

static int open_buffers(void *arg)
{
	return pirn_port_open_buffers(&port, *(uint32_t *)arg);
}

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
	buf = pirn_buf_alloc(8192);
	check_eq(pirn_port_give(port, (char *)buf + 4096, 8, PIRN_NEVER), -EFAULT);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_port_give(port, buf, 8, PIRN_NEVER), -EFAULT);
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
		cmocka_unit_test(close_ends_senders_and_drains),
		cmocka_unit_test(buffers_change_hands),
	};

	return run_program(argc, argv, "port", tests, array_size(tests));
}
