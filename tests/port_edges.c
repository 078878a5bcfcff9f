// SPDX-License-Identifier: MIT
/* Ports: deadlines, wrong handles, and handles of ports that are gone. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "port.h"

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

	for (round = 0; round < scaled(3000, 100) || *received < 10; round++) {
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

/* -------------------------------------------------------- another runtime's */

static struct pirn_port before;

static int open_and_end(void *arg)
{
	(void)arg;
	check_eq(pirn_port_open(&before, 8, 4), 0);
	return 0;
}

/* Here, too, it is the first port of its core, and of the same type. */
static int use_anothers(void *arg)
{
	struct pirn_port mine;
	uint64_t value = 1;

	(void)arg;
	check_eq(pirn_port_send(before, &value, 8), -EINVAL);
	check_eq(pirn_port_open(&mine, 8, 4), 0);
	check_eq(mine.core, before.core);
	check_eq(mine.index, before.index);
	check_eq(mine.type, before.type);
	check_eq(pirn_port_send(before, &value, 8), -ESTALE);
	check(strstr(pirn_reason(), "another runtime"));
	check_eq(pirn_port_receive_until(before, &value, 8, 1), -ESTALE);
	check_eq(pirn_port_close(before), -ESTALE);
	check_eq(pirn_port_free(before), -ESTALE);
	check_eq(pirn_port_send(mine, &value, 8), 0);
	return 0;
}

TEST(a_handle_of_another_runtime_is_stale)
{
	run_on(NULL, open_and_end, NULL);
	run_on(NULL, use_anothers, NULL);
}

/* ------------------------------------------- the end, with a free under way */

#define BUFFERS_LEFT 16

static atomic_bool busy_there, free_parked;
static void *left_buffer[BUFFERS_LEFT];

static int take_buffers(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < BUFFERS_LEFT; i++)
		left_buffer[i] = pirn_buf_alloc(4096);
	return 0;
}

/* Takes no message until the first fiber has ended. */
static int stay_busy(void *arg)
{
	(void)arg;
	atomic_store(&busy_there, true);
	while (!atomic_load(&free_parked))
		nap_ms(1);
	nap_ms(20);
	return 0;
}

static int free_and_park(void *arg)
{
	pirn_port_free(*(struct pirn_port *)arg);
	check_failed(__FILE__, __LINE__, "ran after the end");
}

static int leave_a_free(void *arg)
{
	static struct pirn_port buffers;
	int i;

	(void)arg;
	check_eq(on(1, take_buffers, NULL), 0);
	check_eq(pirn_port_open_buffers(&buffers, BUFFERS_LEFT), 0);
	for (i = 0; i < BUFFERS_LEFT; i++)
		check_eq(pirn_port_give(buffers, left_buffer[i], 1, PIRN_NEVER), 0);
	check_eq(pirn_post(1, stay_busy, NULL), 0);
	while (!atomic_load(&busy_there))
		check_eq(pirn_yield(), 0);
	check_eq(pirn_spawn(NULL, free_and_park, &buffers), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_yield(), 0);
	/* a handle is stale from the start */
	check_eq(pirn_port_free(buffers), -ESTALE);
	atomic_store(&free_parked, true);
	return 0;
}

/* What the fiber in pirn_port_free() had is not lost: LeakSanitizer looks. */
TEST(a_port_that_is_being_freed_goes_with_its_core)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	not_simulated("a core that is busy stops its world");
	opt.call_depth = 2;
	run_on_cores(&opt, leave_a_free, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlines_of_sends_and_receives),
		cmocka_unit_test(deadlines_race_with_room),
		cmocka_unit_test(wrong_and_stale_handles),
		cmocka_unit_test(a_stale_handle_never_reaches_the_next_port),
		cmocka_unit_test(a_handle_of_another_runtime_is_stale),
		cmocka_unit_test(a_port_that_is_being_freed_goes_with_its_core),
	};

	return run_program(argc, argv, "port_edges", tests, array_size(tests));
}
