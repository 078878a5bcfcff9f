// SPDX-License-Identifier: MIT
/*
 * Boost.Asio: a handler posted to another thread's io_context and one posted
 * back, both threads looking for work all the time (poll) or both asleep (run);
 * posts without an answer; and timers armed and cancelled among others.
 */
#include <atomic>
#include <boost/asio.hpp>
#include <chrono>
#include <deque>
#include <thread>

#include "peer.h"

namespace asio = boost::asio;

/* --------------------------------------------------------------- two threads */

/* io_context's hint that one thread runs it would make post() unsafe. */
struct side {
	asio::io_context io;
	asio::executor_work_guard<asio::io_context::executor_type> work{
		io.get_executor() };
};

struct two {
	const struct peer_run *run;
	bool asleep;		/* threads wait in run(), not in poll() */
	unsigned int outstanding;
	side here, there;
	std::atomic<bool> stop{ false };
	std::thread thread;
	uint64_t ran = 0;	/* there */
	uint64_t expected = 0;
	uint64_t left = 0;	/* to be sent */
	uint64_t waits = 0;	/* for so many answers */
};

static void two_start(struct two *two)
{
	two->thread = std::thread([two] {
		peer_pin(two->run, 1);
		while (!two->stop) {
			if (two->asleep)
				two->there.io.run();
			else
				two->there.io.poll();
		}
	});
}

static void two_end(struct two *two)
{
	two->stop = true;
	two->there.work.reset();
	two->there.io.stop();
	two->thread.join();
	peer_counted("handlers", two->ran, two->expected);
}

static void call(struct two *two)
{
	two->left--;
	asio::post(two->there.io, [two] {
		two->ran++;
		asio::post(two->here.io, [two] {
			two->waits--;
			if (two->left)
				call(two);
		});
	});
}

static void call_rounds(void *arg, uint64_t rounds)
{
	struct two *two = static_cast<struct two *>(arg);

	two->left = two->waits = rounds * two->outstanding;
	two->expected += two->left;
	for (unsigned int i = 0; i < two->outstanding; i++)
		call(two);
	while (two->waits) {
		if (two->asleep)
			two->here.io.run_one();
		else
			two->here.io.poll();
	}
}

static void measure_call(const struct peer_run *run, const char *key,
			 unsigned int outstanding, bool asleep)
{
	struct two two;

	two.run = run;
	two.asleep = asleep;
	two.outstanding = outstanding;
	two_start(&two);
	peer_measure(run, key, call_rounds, &two, outstanding, 1);
	two_end(&two);
}

/* As many handlers as there are rounds, the last one answers. */
static void post_rounds(void *arg, uint64_t rounds)
{
	struct two *two = static_cast<struct two *>(arg);

	two->expected += rounds;
	two->waits = 1;
	while (--rounds)
		asio::post(two->there.io, [two] { two->ran++; });
	asio::post(two->there.io, [two] {
		two->ran++;
		asio::post(two->here.io, [two] { two->waits = 0; });
	});
	while (two->waits)
		two->here.io.poll();
}

static void measure_post(const struct peer_run *run)
{
	struct two two;

	two.run = run;
	two.asleep = false;
	two_start(&two);
	peer_measure(run, "post/1", post_rounds, &two, 1, 1);
	two_end(&two);
}

/* ------------------------------------------------------------------- timers */

struct timers {
	asio::io_context io{ 1 };
	std::deque<asio::steady_timer> others;
	asio::steady_timer timer{ io };
	uint64_t cancelled = 0;
	uint64_t expected = 0;
	uint64_t random = 1;
};

/* An hour and a random part of another from now, as in bench_timer.c. */
static std::chrono::nanoseconds far(struct timers *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return std::chrono::hours(1) +
	       std::chrono::nanoseconds(t->random % 3600000000000ull);
}

static void timer_rounds(void *arg, uint64_t rounds)
{
	struct timers *t = static_cast<struct timers *>(arg);
	std::chrono::steady_clock::time_point now =
		std::chrono::steady_clock::now();

	t->expected += rounds;
	while (rounds--) {
		t->timer.expires_at(now + far(t));
		t->timer.async_wait([t](const boost::system::error_code &error) {
			t->cancelled += error == asio::error::operation_aborted;
		});
		t->timer.cancel();
		/* What was cancelled lies in a queue until it is taken. */
		t->io.poll();
	}
}

static void measure_timers(const struct peer_run *run, const char *key,
			   unsigned int armed)
{
	struct timers t;

	for (unsigned int i = 0; i < armed; i++) {
		t.others.emplace_back(t.io);
		t.others.back().expires_after(far(&t));
		t.others.back().async_wait([](const boost::system::error_code &) {});
	}
	peer_measure(run, key, timer_rounds, &t, 1, 0);
	peer_counted("timers", t.cancelled, t.expected);
}

int main(int argc, char **argv)
{
	struct peer_run run = peer_start(argc, argv);

	if (peer_is(&run, "call")) {
		measure_call(&run, "call/1", 1, false);
		measure_call(&run, "call/64", 64, false);
	}
	if (peer_is(&run, "post"))
		measure_post(&run);
	if (peer_is(&run, "wake")) {
		measure_call(&run, "wake/uring", 1, true);
		measure_call(&run, "wake/kmod", 1, true);
	}
	if (peer_is(&run, "timer")) {
		measure_timers(&run, "timer/1000", 1000);
		measure_timers(&run, "timer/1000000", run.quick ? 10000 : 1000000);
	}
	return 0;
}
