// SPDX-License-Identifier: MIT
/* Boost.Context: resume() there and back, and a context made, run and gone. */
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include "peer.h"

namespace ctx = boost::context;

static const std::size_t stack_bytes = 256 << 10;

static void resume_rounds(void *arg, uint64_t rounds)
{
	ctx::fiber *other = static_cast<ctx::fiber *>(arg);

	while (rounds--)
		*other = std::move(*other).resume();
}

static void measure_switch(const struct peer_run *run)
{
	uint64_t resumed = 0;
	bool stop = false;
	ctx::fiber other([&](ctx::fiber &&back) {
		while (!stop) {
			resumed++;
			back = std::move(back).resume();
		}
		return std::move(back);
	});

	peer_measure(run, "switch/2", resume_rounds, &other, 2, 0);
	stop = true;
	other = std::move(other).resume();
	if (!resumed)
		peer_counted("switches", 0, 1);
}

struct spawns {
	ctx::pooled_fixedsize_stack stacks{ stack_bytes };
	uint64_t ran = 0;
	uint64_t expected = 0;
};

static void spawn_rounds(void *arg, uint64_t rounds)
{
	struct spawns *s = static_cast<struct spawns *>(arg);

	s->expected += rounds;
	while (rounds--) {
		ctx::fiber f(std::allocator_arg, s->stacks,
			     [s](ctx::fiber &&back) {
				     s->ran++;
				     return std::move(back);
			     });

		f = std::move(f).resume();
	}
}

int main(int argc, char **argv)
{
	struct peer_run run = peer_start(argc, argv);

	if (peer_is(&run, "switch"))
		measure_switch(&run);
	if (peer_is(&run, "spawn")) {
		struct spawns s;

		peer_measure(&run, "spawn/1", spawn_rounds, &s, 1, 0);
		peer_counted("contexts", s.ran, s.expected);
	}
	return 0;
}
