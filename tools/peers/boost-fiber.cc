// SPDX-License-Identifier: MIT
/* Boost.Fiber: yields, spawn and join, a mutex, a channel there and back. */
#include <boost/fiber/all.hpp>
#include <vector>

#include "peer.h"

namespace fib = boost::fibers;

static const std::size_t stack_bytes = 256 << 10;
static fib::pooled_fixedsize_stack stacks{ stack_bytes };

template <typename Fn> static fib::fiber make(Fn fn)
{
	return fib::fiber(fib::launch::post, std::allocator_arg, stacks, fn);
}

/* ------------------------------------------------------------------ switch */

struct ring {
	unsigned int fibers;
	bool stop;
	uint64_t yields;	/* of the others */
	uint64_t expected;
};

static void yield_rounds(void *arg, uint64_t rounds)
{
	struct ring *ring = static_cast<struct ring *>(arg);

	ring->expected += rounds * (ring->fibers - 1);
	while (rounds--)
		boost::this_fiber::yield();
}

static void measure_ring(const struct peer_run *run, const char *key,
			 unsigned int fibers)
{
	struct ring ring = { fibers, false, 0, 0 };
	std::vector<fib::fiber> others;
	uint64_t slack = 4ull * fibers;

	for (unsigned int i = 0; i + 1 < fibers; i++)
		others.push_back(make([&ring] {
			while (!ring.stop) {
				ring.yields++;
				boost::this_fiber::yield();
			}
		}));
	boost::this_fiber::yield();
	peer_measure(run, key, yield_rounds, &ring, fibers, 0);
	ring.stop = true;
	for (fib::fiber &f : others)
		f.join();
	if (ring.yields + slack < ring.expected ||
	    ring.yields > ring.expected + slack)
		peer_counted("yields", ring.yields, ring.expected);
}

/* ------------------------------------------------------------------- spawn */

struct spawns {
	unsigned int at_once;
	uint64_t ran;
	uint64_t expected;
};

static void spawn_rounds(void *arg, uint64_t rounds)
{
	struct spawns *s = static_cast<struct spawns *>(arg);
	std::vector<fib::fiber> fibers(s->at_once);

	s->expected += rounds * s->at_once;
	while (rounds--) {
		for (fib::fiber &f : fibers)
			f = make([s] { s->ran++; });
		for (fib::fiber &f : fibers)
			f.join();
	}
}

static void measure_spawn(const struct peer_run *run, const char *key,
			  unsigned int at_once)
{
	struct spawns s = { at_once, 0, 0 };

	peer_measure(run, key, spawn_rounds, &s, at_once, 0);
	peer_counted("fibers", s.ran, s.expected);
}

/* -------------------------------------------------------------------- sync */

static void mutex_rounds(void *arg, uint64_t rounds)
{
	fib::mutex *mutex = static_cast<fib::mutex *>(arg);

	while (rounds--) {
		mutex->lock();
		mutex->unlock();
	}
}

struct pair {
	fib::buffered_channel<int> there{ 2 };
	fib::buffered_channel<int> back{ 2 };
	uint64_t answered = 0;
	uint64_t expected = 0;
};

static void channel_rounds(void *arg, uint64_t rounds)
{
	struct pair *pair = static_cast<struct pair *>(arg);
	int value;

	pair->expected += rounds;
	while (rounds--) {
		pair->there.push(1);
		pair->back.pop(value);
	}
}

static void measure_channel(const struct peer_run *run)
{
	struct pair pair;
	fib::fiber other = make([&pair] {
		int value;

		while (pair.there.pop(value) == fib::channel_op_status::success) {
			pair.answered++;
			pair.back.push(value);
		}
	});

	peer_measure(run, "sync/semaphore", channel_rounds, &pair, 1, 0);
	pair.there.close();
	other.join();
	peer_counted("answers", pair.answered, pair.expected);
}

int main(int argc, char **argv)
{
	struct peer_run run = peer_start(argc, argv);

	if (peer_is(&run, "switch")) {
		measure_ring(&run, "switch/2", 2);
		measure_ring(&run, "switch/1000", 1000);
		measure_ring(&run, "switch/100000", 100000);
	}
	if (peer_is(&run, "spawn")) {
		measure_spawn(&run, "spawn/1", 1);
		measure_spawn(&run, "spawn/1000", 1000);
	}
	if (peer_is(&run, "sync")) {
		fib::mutex mutex;

		peer_measure(&run, "sync/mutex", mutex_rounds, &mutex, 1, 0);
		measure_channel(&run);
	}
	return 0;
}
