// SPDX-License-Identifier: MIT
/*
 * What ENTER_UNTIL says of the end of its wait; deadlines beside signals, in a
 * time namespace, and where an io_uring of the thread has work for it.
 */
#include <liburing.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "watch.h"

/* -------------------------------------------------------- what ended a wait */

TEST(what_ended_a_wait_is_told)
{
	int event = must(eventfd(0, 0));
	struct channel ch;

	channel_open(&ch, 4, 4);
	must_fail(watch(&ch, event, soon()), ETIME);
	notify(&ch);
	check_eq(watch(&ch, event, soon()), PIRN_ENDED_NOTIFY);
	must_fail(watch(&ch, event, 1), ETIME);
	next_sqe(&ch);
	check_eq(submit_watching(&ch, 1, event, soon()), 1 | PIRN_ENDED_CQE);
	/* what is unread ends the next one too */
	notify(&ch);
	check_eq(watch(&ch, event, 1), PIRN_ENDED_CQE | PIRN_ENDED_NOTIFY);
	check_eq(watch(&ch, event, 1), PIRN_ENDED_CQE);
	take_cqe(&ch);
	eventfd_write(event, 1);
	check_eq(watch(&ch, event, 0), PIRN_ENDED_WATCH);
	/* a deadline that is past does not keep it from looking */
	check_eq(watch(&ch, event, 1), PIRN_ENDED_WATCH);
	/* without a wait there is nothing to tell */
	next_sqe(&ch);
	check_eq(enter_until(&ch, 1, 0, 0), 1);
	take_cqe(&ch);
	/* nor in the short form */
	notify(&ch);
	check_eq(enter(&ch, PIRN_ENTER_WAIT), 0);
	channel_close(&ch);
	close(event);
}

static void on_signal(int signal)
{
	(void)signal;
}

static timer_t alarms_every(uint64_t ns, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1,
	};
	struct itimerspec every = {
		.it_value.tv_nsec = (long)ns, .it_interval.tv_nsec = (long)ns,
	};
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	must(sigaction(SIGUSR1, &action, NULL));
	must(timer_create(CLOCK_MONOTONIC, &event, &timer));
	must(timer_settime(timer, 0, &every, NULL));
	return timer;
}

TEST(with_something_submitted_the_count_comes_with_why)
{
	struct rig rig;
	timer_t timer;
	char path[32];

	slow_disk(1, 300 * MS, path);
	rig_open(&rig, 4, 64 * KiB, path);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter_until(&rig.ch, 1, PIRN_ENTER_WAIT, soon()),
		 1 | PIRN_ENDED_DEADLINE);
	await_cqes(&rig.ch, 1);
	take_cqe(&rig.ch);
	timer = alarms_every(50 * MS, 0);
	*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0, 0, 4096);
	check_eq(enter_until(&rig.ch, 1, PIRN_ENTER_WAIT, 0),
		 1 | PIRN_ENDED_SIGNAL);
	must(timer_delete(timer));
	rig_close(&rig);
}

/* Each signal ends the wait; the deadline stays where it is. */
TEST(a_wait_goes_on_after_signals_until_its_deadline)
{
	int event = must(eventfd(0, 0)), flags[] = { 0, SA_RESTART };
	unsigned int round, signals;
	struct channel ch;
	uint64_t deadline;
	timer_t timer;

	channel_open(&ch, 4, 4);
	for (round = 0; round < 4; round++) {
		timer = alarms_every(5 * MS, flags[round % 2]);
		deadline = clock_ns() + 200 * MS;
		for (signals = 0;; signals++) {
			int ret = round < 2 ? watch(&ch, event, deadline) :
					      wait_until(&ch, deadline);

			check_eq(ret, -1);
			if (errno == ETIME)
				break;
			check_eq(errno, EINTR);
			check_op(clock_ns(), <, deadline + 10000 * MS);
		}
		check_op(clock_ns(), >=, deadline);
		check_op(signals, >, 0);
		must(timer_delete(timer));
	}
	channel_close(&ch);
	close(event);
}

/* In a time namespace CLOCK_MONOTONIC starts elsewhere, here an hour later. */
TEST(deadlines_are_of_the_callers_clock)
{
	struct channel ch;
	uint64_t deadline;
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWTIME))
		skip_case("no time namespaces: %s", strerror(errno));
	write_text("/proc/self/timens_offsets", "monotonic 3600 0\n");
	deadline = clock_ns();
	pid = must(fork());
	if (!pid) {
		check_op(clock_ns(), >, deadline + 3000 * 1000 * MS);
		channel_open(&ch, 4, 4);
		deadline = clock_ns() + 50 * MS;
		must_fail(wait_until(&ch, deadline), ETIME);
		check_op(clock_ns(), >=, deadline);
		/* before the host's clock began: past, and not "none" */
		must_fail(wait_until(&ch, 1000 * MS), ETIME);
		notify(&ch);
		check_eq(wait_until(&ch, UINT64_MAX), PIRN_ENDED_NOTIFY);
		channel_close(&ch);
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	check_eq(status, 0);
}

/* ------------------------------------------------------------------- io_uring */

static bool ring_open(struct io_uring *ring, unsigned int flags)
{
	int err = io_uring_queue_init(4, ring, flags);

	if (err == -EINVAL)
		return false;
	check_eq(err, 0);
	return true;
}

static void read_a_byte(struct io_uring *ring, int fd, char *to)
{
	io_uring_prep_read(io_uring_get_sqe(ring), fd, to, 1, 0);
	check_eq(io_uring_submit(ring), 1);
}

static void byte_was_read(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	check_eq(io_uring_wait_cqe(ring, &cqe), 0);
	check_eq(cqe->res, 1);
	io_uring_cqe_seen(ring, cqe);
}

/*
 * A ring of this thread posts its completions by task work, which ends the wait
 * as a signal would, or by then has made the ring readable: either way the
 * completion is there to be seen.
 */
TEST(an_io_uring_of_this_thread_is_not_slept_over)
{
	struct later writes = { .what = write_it };
	unsigned int flags[] = { 0, IORING_SETUP_COOP_TASKRUN }, i;
	struct io_uring ring;
	struct channel ch;
	int fds[2], ret;
	char byte;

	channel_open(&ch, 4, 4);
	for (i = 0; i < 2 * array_size(flags); i++) {
		if (!ring_open(&ring, flags[i / 2]))
			continue;
		must(pipe(fds));
		writes.fd = fds[1];
		read_a_byte(&ring, fds[0], &byte);
		later_start(&writes);
		ret = i & 1 ? watch(&ch, ring.ring_fd, 0) : wait_until(&ch, 0);
		if (ret == -1)
			check_eq(errno, EINTR);
		else
			check_eq(ret, PIRN_ENDED_WATCH);
		byte_was_read(&ring);
		later_end(&writes);
		io_uring_queue_exit(&ring);
		close(fds[0]);
		close(fds[1]);
	}
	channel_close(&ch);
}

/* With DEFER_TASKRUN the ring wakes no poller; an eventfd on it does. */
TEST(a_deferred_io_uring_is_watched_through_an_eventfd)
{
	struct later writes = { .what = write_it };
	int event = must(eventfd(0, 0)), fds[2];
	struct io_uring ring;
	struct channel ch;
	char byte;

	if (!ring_open(&ring, IORING_SETUP_SINGLE_ISSUER |
			      IORING_SETUP_DEFER_TASKRUN))
		skip_case("this kernel has no DEFER_TASKRUN");
	channel_open(&ch, 4, 4);
	check_eq(io_uring_register_eventfd(&ring, event), 0);
	must(pipe(fds));
	writes.fd = fds[1];
	read_a_byte(&ring, fds[0], &byte);
	later_start(&writes);
	check_eq(watch(&ch, event, 0), PIRN_ENDED_WATCH);
	later_end(&writes);
	byte_was_read(&ring);
	io_uring_queue_exit(&ring);
	channel_close(&ch);
	close(event);
	close(fds[0]);
	close(fds[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ended_a_wait_is_told),
		cmocka_unit_test(with_something_submitted_the_count_comes_with_why),
		cmocka_unit_test(a_wait_goes_on_after_signals_until_its_deadline),
		cmocka_unit_test(deadlines_are_of_the_callers_clock),
		cmocka_unit_test(an_io_uring_of_this_thread_is_not_slept_over),
		cmocka_unit_test(a_deferred_io_uring_is_watched_through_an_eventfd),
	};

	return run_program(argc, argv, "wait_end", tests, array_size(tests));
}
