// SPDX-License-Identifier: MIT
/*
 * ENTER that watches another fd while it sleeps: what can be watched, and what is
 * left of it afterwards. A wake that is lost is a hang, which fails the case.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "watch.h"

/* ------------------------------------------------------- what can be watched */

/* Idle, ready from before, and made ready while it is watched. */
static void watch_kind(struct channel *ch, int fd, int other)
{
	struct later later = { .what = write_it, .fd = other };

	must_fail(watch(ch, fd, soon()), ETIME);
	later_start(&later);
	check_eq(watch(ch, fd, 0), PIRN_ENDED_WATCH);
	later_end(&later);
	check_eq(watch(ch, fd, 0), PIRN_ENDED_WATCH);
}

TEST(a_pipe_an_eventfd_and_sockets)
{
	struct channel ch;
	int fds[2], i;

	channel_open(&ch, 4, 4);
	must(pipe(fds));
	watch_kind(&ch, fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
	fds[0] = must(eventfd(0, 0));
	watch_kind(&ch, fds[0], fds[0]);
	close(fds[0]);
	for (i = 0; i < 2; i++) {
		must(socketpair(AF_UNIX, i ? SOCK_SEQPACKET : SOCK_STREAM, 0, fds));
		watch_kind(&ch, fds[0], fds[1]);
		close(fds[0]);
		close(fds[1]);
	}
	channel_close(&ch);
}

/* A pipe that can be written is no reason, one that nobody writes to is. */
TEST(only_readable_errors_and_hangups_count)
{
	struct later later = { .what = close_it };
	struct channel ch;
	int fds[2];

	channel_open(&ch, 4, 4);
	must(pipe(fds));
	must_fail(watch(&ch, fds[1], soon()), ETIME);
	later.fd = fds[1];
	later_start(&later);
	check_eq(watch(&ch, fds[0], 0), PIRN_ENDED_WATCH);
	later_end(&later);
	close(fds[0]);
	must(pipe(fds));
	close(fds[0]);
	check_eq(watch(&ch, fds[1], 0), PIRN_ENDED_WATCH);
	close(fds[1]);
	channel_close(&ch);
}

TEST(a_timer)
{
	struct itimerspec at = { .it_value.tv_nsec = 30 * MS };
	int timer = must(timerfd_create(CLOCK_MONOTONIC, 0));
	struct channel ch;

	channel_open(&ch, 4, 4);
	must(timerfd_settime(timer, 0, &at, NULL));
	check_eq(watch(&ch, timer, clock_ns() + 60000 * MS), PIRN_ENDED_WATCH);
	close(timer);
	channel_close(&ch);
}

static void *watch_signals(void *arg)
{
	struct channel *ch = arg;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	fd = must(signalfd(-1, &set, 0));
	check_eq(watch(ch, fd, 0), PIRN_ENDED_WATCH);
	must(close(fd));
	return NULL;
}

static void kill_it(struct later *later)
{
	(void)later;
	must(kill(getpid(), SIGUSR2));
}

/* Its wait queue belongs to the task and not to the file (POLLFREE). */
TEST(a_signalfd)
{
	struct later later = { .what = kill_it };
	struct channel ch;
	sigset_t set;
	int status;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	channel_open(&ch, 4, 4);
	later_start(&later);
	watch_signals(&ch);
	later_end(&later);
	channel_close(&ch);
	/* the task ends in the middle of it */
	pid = must(fork());
	if (!pid) {
		channel_open(&ch, 4, 4);
		watch_signals(&ch);
		_exit(1);
	}
	nap_ms(100);
	must(kill(pid, SIGKILL));
	must(waitpid(pid, &status, 0));
	check(WIFSIGNALED(status));
}

TEST(what_cannot_be_watched_is_refused)
{
	int regular, path, device = open_device();
	char name[] = "/tmp/pirn-watch-XXXXXX";
	struct channel ch, other;
	struct pool pool;

	channel_open(&ch, 4, 4);
	channel_open(&other, 4, 4);
	pool_open(&pool, 64 * KiB);
	regular = must(mkstemp(name));
	path = must(open(name, O_PATH));
	must(unlink(name));
	/* nothing of it is done */
	next_sqe(&ch);
	must_fail(submit_watching(&ch, 1, -1, 0), EBADF);
	must_fail(submit_watching(&ch, 1, 1000000, 0), EBADF);
	must_fail(submit_watching(&ch, 1, path, 0), EBADF);
	must_fail(submit_watching(&ch, 1, regular, 0), EOPNOTSUPP);
	must_fail(submit_watching(&ch, 1, device, 0), EOPNOTSUPP);
	must_fail(submit_watching(&ch, 1, pool.fd, 0), EOPNOTSUPP);
	must_fail(submit_watching(&ch, 1, ch.fd, 0), EOPNOTSUPP);
	must_fail(submit_watching(&ch, 1, other.fd, 0), EOPNOTSUPP);
	check_eq(ch.ring->sq_head, 0);
	check_eq(cq_ready(&ch), 0);
	check_eq(enter(&ch, 1), 1);
	close(regular);
	close(path);
	close(device);
	pool_close(&pool);
	channel_close(&other);
	channel_close(&ch);
}

/* ------------------------------------------------------------------- lifetime */

/* The wait holds the file, not the number. */
TEST(an_fd_closed_during_the_wait)
{
	struct later closes = { .what = close_it, .ms = 50 };
	struct later writes = { .what = write_it, .ms = 150 };
	struct later notifies = { .what = notify_it, .ms = 100 };
	struct channel ch;
	int fds[2], event;

	channel_open(&ch, 4, 4);
	must(pipe(fds));
	closes.fd = fds[0];
	writes.fd = fds[1];
	later_start(&closes);
	later_start(&writes);
	check_eq(watch(&ch, fds[0], 0), PIRN_ENDED_WATCH);
	later_end(&closes);
	later_end(&writes);
	/* let go of at the end: nobody reads the pipe now */
	signal(SIGPIPE, SIG_IGN);
	must_fail(write(fds[1], "x", 1), EPIPE);
	close(fds[1]);

	/* and where nobody can make it ready any more, the rest ends the wait */
	event = must(eventfd(0, 0));
	closes.fd = event;
	notifies.ch = &ch;
	later_start(&closes);
	later_start(&notifies);
	check_eq(watch(&ch, event, 0), PIRN_ENDED_NOTIFY);
	later_end(&closes);
	later_end(&notifies);
	channel_close(&ch);
}

/* However the wait ended, its file hears no more of it. */
TEST(nothing_is_kept_of_a_watched_file)
{
	unsigned int fds_before, i;
	struct channel ch;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	channel_open(&ch, 4, 4);
	fds_before = open_fds();
	for (i = 0; i < 200; i++) {
		must(pipe(fds));
		if (i & 1)
			notify(&ch);
		if (i & 2) {
			check_eq(write(fds[1], "x", 1), 1);
			check(watch(&ch, fds[0], 1) > 0);
		} else if (i & 1) {
			check_eq(watch(&ch, fds[0], 1), PIRN_ENDED_NOTIFY);
		} else {
			must_fail(watch(&ch, fds[0], clock_ns() + MS / 10), ETIME);
		}
		/* writing wakes nobody */
		check_eq(write(fds[1], "x", 1), 1);
		close(fds[0]);
		must_fail(write(fds[1], "x", 1), EPIPE);
		close(fds[1]);
		must_fail(wait_until(&ch, 1), ETIME);
	}
	check_eq(open_fds(), fds_before);
	channel_close(&ch);
}

/* ---------------------------------------------------------------- recursion */

/* An epoll that contains the channel, watched by that channel. */
TEST(an_epoll_with_the_channel_in_it)
{
	struct epoll_event event = { .events = EPOLLIN }, got[2];
	int outer = must(epoll_create1(0)), inner = must(epoll_create1(0));
	struct later writes = { .what = write_it };
	struct later notifies = { .what = notify_it };
	int pipe_fds[2], i;
	struct rig rig;
	char path[32];

	slow_disk(1, 5 * MS, path);
	rig_open(&rig, 4, 64 * KiB, path);
	must(pipe(pipe_fds));
	event.data.u32 = 1;
	must(epoll_ctl(inner, EPOLL_CTL_ADD, rig.ch.fd, &event));
	event.data.u32 = 2;
	must(epoll_ctl(inner, EPOLL_CTL_ADD, pipe_fds[0], &event));
	must(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
	must_fail(watch(&rig.ch, outer, soon()), ETIME);
	for (i = 0; i < 50; i++) {
		*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		check_eq(submit_watching(&rig.ch, 1, i & 1 ? outer : inner, 0) &
			 (int)(PIRN_ENTER_COUNT_MASK | PIRN_ENDED_CQE), 1 | PIRN_ENDED_CQE);
		check_eq(epoll_wait(outer, got, 2, 0), 1);
		check_eq(take_cqe(&rig.ch).res, 4096);
		check_eq(epoll_wait(outer, got, 2, 0), 0);
	}
	notifies.ch = &rig.ch;
	later_start(&notifies);
	check(watch(&rig.ch, outer, 0) & PIRN_ENDED_NOTIFY);
	later_end(&notifies);
	writes.fd = pipe_fds[1];
	later_start(&writes);
	check_eq(watch(&rig.ch, outer, 0), PIRN_ENDED_WATCH);
	later_end(&writes);
	check_eq(epoll_wait(inner, got, 2, 0), 1);
	check_eq(got[0].data.u32, 2);
	/* the channel goes first */
	rig_close(&rig);
	close(inner);
	close(outer);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* --------------------------------------------------------------------- races */

/*
 * One thread makes one of the things that end a wait happen, by a seeded
 * choice, as often as the other has said that it is about to sleep; each waits
 * for the other, so a wake that is lost is the end of it.
 */
struct race {
	struct channel ch;
	int event;
	unsigned int rounds;
	atomic_uint ball;
	uint64_t seed;
};

static void *wake_in_some_way(void *arg)
{
	struct race *race = arg;
	struct rng rng = { race->seed };
	unsigned int i, spin;

	for (i = 0; i < race->rounds; i++) {
		while (atomic_load(&race->ball) != 2 * i + 1)
			;
		/* before, while and after it goes to sleep */
		for (spin = (unsigned int)rng_below(&rng, 2000); spin; spin--)
			atomic_signal_fence(memory_order_seq_cst);
		if (rng_below(&rng, 2))
			eventfd_write(race->event, 1);
		else
			notify(&race->ch);
	}
	return NULL;
}

TEST(wakes_of_two_kinds_are_not_lost)
{
	struct race race = { .rounds = scaled(20000, 4000), .seed = 20261127 };
	unsigned int i, watched = 0;
	pthread_t thread;
	eventfd_t value;
	int ended;

	channel_open_on(&race.ch, 1, 1, 0);
	race.event = must(eventfd(0, 0));
	check_eq(pthread_create(&thread, NULL, wake_in_some_way, &race), 0);
	for (i = 0; i < race.rounds; i++) {
		atomic_store(&race.ball, 2 * i + 1);
		ended = watch(&race.ch, race.event, 0);
		check(ended == PIRN_ENDED_WATCH || ended == PIRN_ENDED_NOTIFY);
		if (ended == PIRN_ENDED_WATCH) {
			must(eventfd_read(race.event, &value));
			check_eq(value, 1);
			watched++;
		}
	}
	pthread_join(thread, NULL);
	check(watched && watched < race.rounds);
	close(race.event);
	channel_close(&race.ch);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_an_eventfd_and_sockets),
		cmocka_unit_test(only_readable_errors_and_hangups_count),
		cmocka_unit_test(a_timer),
		cmocka_unit_test(a_signalfd),
		cmocka_unit_test(what_cannot_be_watched_is_refused),
		cmocka_unit_test(an_fd_closed_during_the_wait),
		cmocka_unit_test(nothing_is_kept_of_a_watched_file),
		cmocka_unit_test(an_epoll_with_the_channel_in_it),
		cmocka_unit_test(wakes_of_two_kinds_are_not_lost),
	};

	return run_program(argc, argv, "watch", tests, array_size(tests));
}
