// SPDX-License-Identifier: MIT
/*
 * libuv: two loops that wake each other with uv_async_send(), and timers started
 * and stopped among others.
 */
#include <uv.h>

#include "peer.h"

/* --------------------------------------------------------------------- wake */

struct side {
	uv_loop_t loop;
	uv_async_t async;
};

struct two {
	const struct peer_run *run;
	struct side here, there;
	pthread_t thread;
	uint64_t answered;	/* there */
	uint64_t expected;
	uint64_t left;		/* answers to come */
	int stop;		/* written before the last wake */
};

static void on_there(uv_async_t *async)
{
	struct two *two = async->data;

	if (two->stop) {
		uv_stop(&two->there.loop);
		return;
	}
	two->answered++;
	uv_async_send(&two->here.async);
}

static void on_here(uv_async_t *async)
{
	struct two *two = async->data;

	if (--two->left)
		uv_async_send(&two->there.async);
	else
		uv_stop(&two->here.loop);
}

static void *thread(void *arg)
{
	struct two *two = arg;

	peer_pin(two->run, 1);
	uv_run(&two->there.loop, UV_RUN_DEFAULT);
	return NULL;
}

static void side_start(struct side *side, uv_async_cb cb, struct two *two)
{
	if (uv_loop_init(&side->loop) ||
	    uv_async_init(&side->loop, &side->async, cb)) {
		fprintf(stderr, "libuv: no loop\n");
		exit(1);
	}
	side->async.data = two;
}

static void wake_rounds(void *arg, uint64_t rounds)
{
	struct two *two = arg;

	two->expected += rounds;
	two->left = rounds;
	uv_async_send(&two->there.async);
	uv_run(&two->here.loop, UV_RUN_DEFAULT);
}

static void measure_wake(const struct peer_run *run)
{
	static struct two two;

	two.run = run;
	side_start(&two.here, on_here, &two);
	side_start(&two.there, on_there, &two);
	if (pthread_create(&two.thread, NULL, thread, &two))
		exit(1);
	peer_measure(run, "wake/uring", wake_rounds, &two, 1, 1);
	peer_measure(run, "wake/kmod", wake_rounds, &two, 1, 1);
	two.stop = 1;
	uv_async_send(&two.there.async);
	pthread_join(two.thread, NULL);
	peer_counted("wakes", two.answered, two.expected);
}

/* ------------------------------------------------------------------- timers */

struct timers {
	uv_loop_t loop;
	uv_timer_t *others;
	uv_timer_t timer;
	uint64_t random;
};

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	fprintf(stderr, "libuv: a timer of an hour ended\n");
	exit(1);
}

/* Milliseconds: an hour and a random part of another. */
static uint64_t far(struct timers *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return 3600000 + t->random % 3600000;
}

static void timer_rounds(void *arg, uint64_t rounds)
{
	struct timers *t = arg;

	while (rounds--) {
		uv_timer_start(&t->timer, on_timer, far(t), 0);
		uv_timer_stop(&t->timer);
	}
}

static void measure_timers(const struct peer_run *run, const char *key,
			   unsigned int armed)
{
	struct timers t = { .random = 1 };

	t.others = calloc(armed, sizeof(t.others[0]));
	if (!t.others || uv_loop_init(&t.loop))
		exit(1);
	for (unsigned int i = 0; i < armed; i++) {
		uv_timer_init(&t.loop, &t.others[i]);
		uv_timer_start(&t.others[i], on_timer, far(&t), 0);
	}
	uv_timer_init(&t.loop, &t.timer);
	peer_measure(run, key, timer_rounds, &t, 1, 0);
	if (!uv_is_active((uv_handle_t *)&t.others[armed - 1]) ||
	    uv_is_active((uv_handle_t *)&t.timer))
		peer_counted("timers", 0, 1);
	free(t.others);
}

int main(int argc, char **argv)
{
	struct peer_run run = peer_start(argc, argv);

	if (peer_is(&run, "wake"))
		measure_wake(&run);
	if (peer_is(&run, "timer")) {
		measure_timers(&run, "timer/1000", 1000);
		measure_timers(&run, "timer/1000000", run.quick ? 10000 : 1000000);
	}
	return 0;
}
