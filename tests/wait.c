// SPDX-License-Identifier: MIT
/*
 * Sleeping in ENTER and what ends it: CQEs, NOTIFY, deadlines, signals; poll()
 * and epoll. A wake that is lost is a hang, which fails the case.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "device.h"

#define MS 1000000ull

static void notify(const struct channel *ch)
{
	must(ioctl(ch->fd, PIRN_IOC_NOTIFY, 0));
}

static int wait_until(struct channel *ch, uint64_t deadline)
{
	int ret = enter_until(ch, 0, PIRN_ENTER_WAIT, deadline);

	/* what ended it is told too: watch.c */
	return ret < 0 ? ret : ret & (int)PIRN_ENTER_COUNT_MASK;
}

/* ------------------------------------------------------ NOTIFY and deadlines */

TEST(a_notify_is_kept_until_a_wait_uses_it)
{
	struct channel ch;
	int i;

	channel_open(&ch, 4, 4);
	for (i = 0; i < 20; i++) {
		notify(&ch);
		check_eq(enter(&ch, PIRN_ENTER_WAIT), 0);
		must_fail(wait_until(&ch, 1), ETIME);
		/* however many came, they are one */
		notify(&ch);
		notify(&ch);
		notify(&ch);
		/* only a wait uses it */
		check_eq(enter(&ch, 0), 0);
		check_eq(wait_until(&ch, 0), 0);
		must_fail(wait_until(&ch, clock_ns() + 1 * MS), ETIME);
	}
	channel_close(&ch);
}

TEST(a_wait_ends_at_its_deadline_and_not_before)
{
	struct channel ch;
	uint64_t deadline;
	int i;

	channel_open(&ch, 4, 4);
	must_fail(wait_until(&ch, 1), ETIME);
	must_fail(wait_until(&ch, clock_ns() - 1), ETIME);
	for (i = 0; i < 10; i++) {
		deadline = clock_ns() + (uint64_t)i * 3 * MS;
		must_fail(wait_until(&ch, deadline), ETIME);
		check_op(clock_ns(), >=, deadline);
	}
	/* one that never comes, ended by something else */
	notify(&ch);
	check_eq(wait_until(&ch, UINT64_MAX), 0);
	notify(&ch);
	check_eq(wait_until(&ch, 1ull << 63), 0);
	channel_close(&ch);
}

TEST(what_was_submitted_counts_whatever_ended_the_wait)
{
	struct rig rig;
	char path[32];

	slow_disk(1, 400 * MS, path);
	rig_open(&rig, 4, 64 * KiB, path);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter_until(&rig.ch, 1, PIRN_ENTER_WAIT, clock_ns() + 1 * MS),
		 1 | PIRN_ENDED_DEADLINE);
	check_eq(cq_ready(&rig.ch), 0);
	notify(&rig.ch);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter(&rig.ch, 1 | PIRN_ENTER_WAIT), 1);
	check_eq(cq_ready(&rig.ch), 0);
	await_cqes(&rig.ch, 2);
	/* with CQEs unread a wait ends at once, with or without a deadline */
	check_eq(enter(&rig.ch, PIRN_ENTER_WAIT), 0);
	check_eq(wait_until(&rig.ch, 1), 0);
	rig_close(&rig);
}

static void *notify_later(void *arg)
{
	nap_ms(100);
	notify(arg);
	return NULL;
}

TEST(a_notify_ends_a_wait_under_way)
{
	pthread_t thread;
	struct channel ch;

	channel_open(&ch, 4, 4);
	check_eq(pthread_create(&thread, NULL, notify_later, &ch), 0);
	check_eq(enter(&ch, PIRN_ENTER_WAIT), 0);
	pthread_join(thread, NULL);
	/* used up */
	must_fail(wait_until(&ch, 1), ETIME);
	channel_close(&ch);
}

struct pong {
	struct channel ping;
	struct channel pong;
	unsigned int rounds;
	atomic_uint ball;
};

/* The ball says whose turn it is; nobody may miss being told. */
static void *play(void *arg)
{
	struct pong *p = arg;
	unsigned int i;

	for (i = 0; i < p->rounds; i++) {
		while (atomic_load(&p->ball) != 2 * i + 1)
			check_eq(enter(&p->pong, PIRN_ENTER_WAIT), 0);
		atomic_store(&p->ball, 2 * i + 2);
		notify(&p->ping);
	}
	return NULL;
}

TEST(notifies_between_two_threads_are_not_lost)
{
	struct pong p = { .rounds = scaled(20000, 4000) };
	pthread_t thread;
	unsigned int i;

	channel_open_on(&p.ping, 1, 1, 0);
	channel_open_on(&p.pong, 1, 1, 1);
	check_eq(pthread_create(&thread, NULL, play, &p), 0);
	for (i = 0; i < p.rounds; i++) {
		atomic_store(&p.ball, 2 * i + 1);
		notify(&p.pong);
		while (atomic_load(&p.ball) != 2 * i + 2)
			check_eq(enter(&p.ping, PIRN_ENTER_WAIT), 0);
	}
	pthread_join(thread, NULL);
	channel_close(&p.ping);
	channel_close(&p.pong);
}

/* ------------------------------------------------------------------- CQEs */

static void depth_one(const char *disk, unsigned int rounds)
{
	struct rig rig;
	unsigned int i;

	rig_open(&rig, 1, 64 * KiB, disk);
	for (i = 0; i < rounds; i++) {
		fill(rig.pool.memory, 512, i, 5);
		check_eq(rig_io(&rig, PIRN_OP_WRITE, i * 512, 0, 512), 512);
		check_eq(rig_io(&rig, PIRN_OP_READ, i * 512, 4096, 512), 512);
		check_filled(rig.pool.memory + 4096, 512, i, 5);
	}
	rig_close(&rig);
}

/* Each completion races with the thread that goes to sleep for it. */
TEST(a_completion_ends_a_wait)
{
	char path[32];

	depth_one(NVME_DISK, 1000);
	slow_disk(1, 10000, path);
	depth_one(path, 300);
	slow_disk(1, 200000, path);
	depth_one(path, 300);
}

/* ----------------------------------------------------------------- signals */

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void *signal_later(void *arg)
{
	nap_ms(100);
	pthread_kill(*(pthread_t *)arg, SIGVTALRM);
	return NULL;
}

TEST(a_signal_ends_a_wait_with_eintr)
{
	/* SA_RESTART: it is not restarted all the same */
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	pthread_t self = pthread_self(), thread;
	struct channel ch;

	must(sigaction(SIGVTALRM, &action, NULL));
	channel_open(&ch, 4, 4);
	check_eq(pthread_create(&thread, NULL, signal_later, &self), 0);
	must_fail(enter(&ch, PIRN_ENTER_WAIT), EINTR);
	pthread_join(thread, NULL);
	check_eq(alarms, 1);
	check_eq(pthread_create(&thread, NULL, signal_later, &self), 0);
	must_fail(wait_until(&ch, clock_ns() + 3600000 * MS), EINTR);
	pthread_join(thread, NULL);
	/* with something submitted the count is the answer */
	next_sqe(&ch)->cookie = 1;
	check_eq(enter(&ch, 1), 1);
	take_cqe(&ch);
	notify(&ch);
	check_eq(enter(&ch, PIRN_ENTER_WAIT), 0);
	channel_close(&ch);
}

TEST(a_signal_does_not_hide_what_was_submitted)
{
	struct sigaction action = { .sa_handler = on_alarm };
	pthread_t self = pthread_self(), thread;
	struct rig rig;
	char path[32];

	must(sigaction(SIGVTALRM, &action, NULL));
	slow_disk(1, 600 * MS, path);
	rig_open(&rig, 4, 64 * KiB, path);
	check_eq(pthread_create(&thread, NULL, signal_later, &self), 0);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter(&rig.ch, 1 | PIRN_ENTER_WAIT), 1);
	pthread_join(thread, NULL);
	check_eq(alarms, 1);
	await_cqes(&rig.ch, 1);
	check_eq(take_cqe(&rig.ch).res, 4096);
	rig_close(&rig);
}

/* ------------------------------------------------------------- two at once */

static atomic_int waiting;

static void *wait_there(void *arg)
{
	atomic_store(&waiting, 1);
	return (void *)(intptr_t)enter(arg, PIRN_ENTER_WAIT);
}

static void *wait_here(void *arg)
{
	atomic_store(&waiting, 1);
	check_eq(wait_until(arg, clock_ns() + 2000 * MS), 0);
	return NULL;
}

TEST(one_enter_at_a_time)
{
	struct channel ch;
	pthread_t thread;
	int ret;
	void *first;

	channel_open(&ch, 4, 4);
	next_sqe(&ch);
	check_eq(pthread_create(&thread, NULL, wait_there, &ch), 0);
	while (!atomic_load(&waiting))
		;
	/* until the other one has got there */
	while ((ret = enter(&ch, 0)) == 0)
		nap_ms(1);
	check_eq(ret, -1);
	check_eq(errno, EBUSY);
	must_fail(enter(&ch, 1), EBUSY);
	must_fail(enter(&ch, PIRN_ENTER_WAIT), EBUSY);
	must_fail(wait_until(&ch, 1), EBUSY);
	check_eq(cq_ready(&ch), 0);
	notify(&ch);
	check_eq(pthread_join(thread, &first), 0);
	check_eq((intptr_t)first, 0);
	check_eq(enter(&ch, 1), 1);
	channel_close(&ch);
}

static atomic_uint waits_ended;
static atomic_int no_more_waits;

static void *wait_in_turn(void *arg)
{
	while (!atomic_load(&no_more_waits)) {
		if (!enter(arg, PIRN_ENTER_WAIT))
			atomic_fetch_add(&waits_ended, 1);
		else
			check_eq(errno, EBUSY);
	}
	return NULL;
}

/* Between a wake and the end of that wait another ENTER may begin to wait. */
TEST(who_enters_while_another_wakes_is_not_forgotten)
{
	unsigned int i, rounds = scaled(20000, 3000);
	pthread_t thread[2];
	struct channel ch;

	channel_open(&ch, 4, 4);
	for (i = 0; i < 2; i++)
		check_eq(pthread_create(&thread[i], NULL, wait_in_turn, &ch), 0);
	for (i = 0; i < rounds; i++) {
		notify(&ch);
		while (atomic_load(&waits_ended) <= i)
			;
	}
	check_eq(atomic_load(&waits_ended), rounds);
	atomic_store(&no_more_waits, 1);
	for (i = 0; i < 2; i++)
		while (pthread_tryjoin_np(thread[i], NULL)) {
			notify(&ch);
			nap_ms(1);
		}
	channel_close(&ch);
}

/* ATTACH is no ENTER: it works while the core sleeps, and so does DETACH. */
TEST(attach_and_detach_while_the_core_sleeps)
{
	struct channel ch;
	struct pool pool;
	pthread_t thread;
	int target, slot;

	channel_open(&ch, 4, 4);
	pool_open(&pool, 64 * KiB);
	check_eq(pthread_create(&thread, NULL, wait_here, &ch), 0);
	while (!atomic_load(&waiting))
		;
	nap_ms(50);
	target = attach_disk(&ch, FAST_DISK, O_RDWR);
	slot = must(attach_pool_fd(&ch, pool.fd));
	must(detach_target(&ch, (uint32_t)target));
	target = attach_disk(&ch, FAST_DISK, O_RDWR);
	notify(&ch);
	pthread_join(thread, NULL);
	struct pirn_sqe sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);

	sqe.target = (uint16_t)target;
	sqe.pool = (uint16_t)slot;
	check_eq(do_sqe(&ch, &sqe), 4096);
	channel_close(&ch);
	pool_close(&pool);
}

/* ------------------------------------------------------------ poll and epoll */

static bool readable(const struct channel *ch, int ms)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLIN | POLLOUT };
	int n = must(poll(&p, 1, ms));

	if (n)
		check_eq(p.revents, POLLIN);
	return n;
}

TEST(poll_tells_of_cqes_and_notifies)
{
	pthread_t thread;
	struct rig rig;
	char path[32];

	slow_disk(1, 50 * MS, path);
	rig_open(&rig, 4, 64 * KiB, path);
	check(!readable(&rig.ch, 0));
	check(!readable(&rig.ch, 20));
	notify(&rig.ch);
	check(readable(&rig.ch, 0));
	check(readable(&rig.ch, -1));
	check_eq(enter(&rig.ch, PIRN_ENTER_WAIT), 0);
	check(!readable(&rig.ch, 0));
	/* asleep in poll() when it comes */
	check_eq(pthread_create(&thread, NULL, notify_later, &rig.ch), 0);
	check(readable(&rig.ch, -1));
	pthread_join(thread, NULL);
	check_eq(enter(&rig.ch, PIRN_ENTER_WAIT), 0);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter(&rig.ch, 1), 1);
	check(readable(&rig.ch, -1));
	check_eq(take_cqe(&rig.ch).res, 4096);
	check(!readable(&rig.ch, 0));
	rig_close(&rig);
}

TEST(epoll_tells_of_each_completion)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	int epoll = must(epoll_create1(0)), i;
	struct rig rig;
	char path[32];

	slow_disk(1, 5 * MS, path);
	rig_open(&rig, 4, 64 * KiB, path);
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, rig.ch.fd, &event));
	for (i = 0; i < 30; i++) {
		check_eq(epoll_wait(epoll, &got, 1, 0), 0);
		*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		check_eq(enter(&rig.ch, 1), 1);
		check_eq(epoll_wait(epoll, &got, 1, -1), 1);
		check_eq(got.events, EPOLLIN);
		check_eq(take_cqe(&rig.ch).res, 4096);
	}
	/* closed while the epoll holds it and an op is in flight */
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter(&rig.ch, 1), 1);
	rig_close(&rig);
	await_no_ops();
	check_eq(epoll_wait(epoll, &got, 1, 20), 0);
	close(epoll);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_notify_is_kept_until_a_wait_uses_it),
		cmocka_unit_test(a_wait_ends_at_its_deadline_and_not_before),
		cmocka_unit_test(what_was_submitted_counts_whatever_ended_the_wait),
		cmocka_unit_test(a_notify_ends_a_wait_under_way),
		cmocka_unit_test(notifies_between_two_threads_are_not_lost),
		cmocka_unit_test(a_completion_ends_a_wait),
		cmocka_unit_test(a_signal_ends_a_wait_with_eintr),
		cmocka_unit_test(a_signal_does_not_hide_what_was_submitted),
		cmocka_unit_test(one_enter_at_a_time),
		cmocka_unit_test(who_enters_while_another_wakes_is_not_forgotten),
		cmocka_unit_test(attach_and_detach_while_the_core_sleeps),
		cmocka_unit_test(poll_tells_of_cqes_and_notifies),
		cmocka_unit_test(epoll_tells_of_each_completion),
	};

	return run_program(argc, argv, "wait", tests, array_size(tests));
}
