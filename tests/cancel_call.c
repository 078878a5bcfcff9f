// SPDX-License-Identifier: MIT
/* Cancellation over calls to other cores, and CANCELs that are late. */
#include <errno.h>
#include <stdatomic.h>

#include <pirn/message.h>
#include <pirn/scope.h>

#include "task.h"

static struct pirn_options small = {
	.size = sizeof(small), .call_depth = 1,
};

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static atomic_bool deepest;

static int cut_there(void *arg)
{
	int *depth = arg, err, result = 0;

	check_eq(pirn_scope_deadline(), PIRN_NEVER);
	if (--*depth == 0) {
		atomic_store(&deepest, true);
		return pirn_sleep(LONG);
	}
	err = pirn_call((unsigned int)*depth % 2, cut_there, arg, &result);
	check_eq(err, 0);
	check_eq(pirn_sleep(0), -ECANCELED);
	check_eq(pirn_cancelled(), -ECANCELED);
	return result;
}

static int call_there(void *arg)
{
	int result = 0;

	check_eq(pirn_call(1, cut_there, arg, &result), 0);
	return result;
}

static int over_calls(void *arg)
{
	struct task task;
	int i, depth;

	(void)arg;
	for (i = 1; i < 8; i++) {
		depth = i;
		atomic_store(&deepest, false);
		task_start(&task, call_there, &depth);
		while (!atomic_load(&deepest))
			check_eq(pirn_sleep(MS / 10), 0);
		task_cancel(&task);
		check_eq(task_join(&task), -ECANCELED);
		check_eq(depth, 0);
		check_eq(task.error, -ECANCELED);
	}
	return 0;
}

TEST(cancelling_follows_a_call_to_any_depth)
{
	run_on_cores(NULL, over_calls, NULL);
}

/* All calls that one fiber has out at once are asked to end. */
static atomic_uint arrived;

static int arrive_there(void *arg)
{
	(void)arg;
	check_eq(pirn_scope_deadline(), PIRN_NEVER);
	atomic_fetch_add(&arrived, 1);
	return pirn_sleep(LONG);
}

static int call_everywhere(void *arg)
{
	check_eq(pirn_call_all(arrive_there, NULL, arg), -ECANCELED);
	check_eq(pirn_call_all(arrive_there, NULL, arg), -ECANCELED);
	return 0;
}

static int over_all(void *arg)
{
	unsigned int i, cores = (unsigned int)pirn_core_count();
	int results[64] = { 0 };
	struct task task;

	(void)arg;
	check_op(cores, <=, array_size(results));
	task_start(&task, call_everywhere, results);
	while (atomic_load(&arrived) < cores)
		check_eq(pirn_sleep(MS / 10), 0);
	task_cancel(&task);
	check_eq(task_join(&task), 0);
	check_eq(atomic_load(&arrived), cores);
	for (i = 0; i < cores; i++)
		check_eq(results[i], -ECANCELED);
	return 0;
}

TEST(cancelling_follows_every_call_of_a_fiber)
{
	run_on_cores(NULL, over_all, NULL);
}

static atomic_bool busy, go_on;

/* Holds the core without parking: it takes no messages. */
static int keep_busy(void *arg)
{
	(void)arg;
	atomic_store(&busy, true);
	while (!atomic_load(&go_on))
		nap_ms(1);
	return 0;
}

static int call_nothing(void *arg)
{
	(void)arg;
	return pirn_call(1, nothing, NULL, NULL);
}

static int call_busy(void *arg)
{
	(void)arg;
	return pirn_call(1, keep_busy, NULL, NULL);
}

static atomic_uint ran;

static int run_there(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ran, 1);
	return pirn_sleep(LONG);
}

static int call_and_run(void *arg)
{
	int result = 0, err = pirn_call(1, run_there, NULL, &result);

	(void)arg;
	return err ? err - 1000 : result;
}

/*
 * The other core takes nothing: one call lies in its queue, the others wait for
 * room. Cancelled, the first is asked to end, by a message that waits for room
 * too; those behind it are never sent.
 */
static int full_queue(void *arg)
{
	struct task task[5];
	struct pirn_fiber *fiber;
	unsigned int i;

	(void)arg;
	check_eq(pirn_spawn(&fiber, call_busy, NULL), 0);
	while (!atomic_load(&busy))
		check_eq(pirn_sleep(MS), 0);
	/* the first has the place in the queue, the others wait for it */
	for (i = 0; i < array_size(task); i++)
		task_start(&task[i], call_and_run, NULL);
	check_eq(pirn_sleep(MS), 0);
	for (i = 0; i < array_size(task); i++)
		task_cancel(&task[i]);
	check_eq(pirn_sleep(MS), 0);
	atomic_store(&go_on, true);
	check_eq(pirn_join(fiber, NULL), 0);
	for (i = 0; i < array_size(task); i++) {
		int result = task_join(&task[i]);

		check_eq(result, i ? -ECANCELED - 1000 : -ECANCELED);
	}
	check_eq(atomic_load(&ran), 1);
	return 0;
}

TEST(a_call_that_waits_for_room_is_never_sent)
{
	not_simulated("a fiber that spins stops every core");
	run_on_cores(&small, full_queue, NULL);
}

/* ------------------------------------------------ a CANCEL that is too late */

/* Two calls from one frame: the second has the first one's record. */
static int call_twice(void *arg)
{
	int i;

	(void)arg;
	for (i = 1; i >= 0; i--) {
		int err = pirn_call((unsigned int)i, i ? keep_busy : nothing, NULL,
				    NULL);

		check_eq(err, 0);
		check_eq(pirn_shield_begin(), 0);
	}
	check_eq(pirn_shield_end(), 0);
	check_eq(pirn_shield_end(), 0);
	return 0;
}

/*
 * The other core takes nothing: the CANCEL waits for room, and the reply comes
 * before there is any.
 */
static int forgotten(void *arg)
{
	struct pirn_fiber *fiber;
	struct task task;
	unsigned int i;

	(void)arg;
	for (i = 0; i < scaled(200, 20); i++) {
		atomic_store(&busy, false);
		atomic_store(&go_on, false);
		task_start(&task, call_twice, NULL);
		while (!atomic_load(&busy))
			check_eq(pirn_sleep(MS / 20), 0);
		check_eq(pirn_spawn(&fiber, call_nothing, NULL), 0);
		check_eq(pirn_yield(), 0);
		task_cancel(&task);
		atomic_store(&go_on, true);
		check_eq(task_join(&task), 0);
		check_eq(pirn_join(fiber, NULL), 0);
	}
	return 0;
}

TEST(a_cancel_without_room_goes_with_its_call)
{
	not_simulated("a fiber that spins stops every core");
	run_on_cores(&small, forgotten, NULL);
}

struct crossing {
	struct rng rng;
	struct pirn_scope *scope;
	unsigned int rounds;
	bool over;
	unsigned int cut;
};

static int short_there(void *arg)
{
	uint64_t ns = (uint64_t)(uintptr_t)arg;

	return ns ? pirn_sleep(ns) : pirn_yield();
}

/* What is called outside the scope may not be touched by a CANCEL from in it. */
static int untouched_there(void *arg)
{
	(void)arg;
	check_eq(pirn_yield(), 0);
	check_eq(pirn_cancelled(), 0);
	check_eq(pirn_sleep(1000), 0);
	check_eq(pirn_cancelled(), 0);
	return 0;
}

static int cross_cancel(void *arg)
{
	struct crossing *c = arg;

	while (!c->over) {
		uint64_t turns = rng_below(&c->rng, 40);

		while (turns-- && !c->over)
			check_eq(pirn_yield(), 0);
		if (c->scope)
			check_eq(pirn_scope_cancel(c->scope, -ECANCELED), 0);
	}
	return 0;
}

static int cross(void *arg)
{
	struct crossing c = { .rng = { (uint64_t)(uintptr_t)arg },
			      .rounds = scaled(2000, 100) };
	struct pirn_scope scope, other;
	struct pirn_fiber *fiber;
	int result;

	check_eq(pirn_spawn(&fiber, cross_cancel, &c), 0);
	while (c.rounds--) {
		uintptr_t ns = rng_below(&c.rng, 2) ? rng_below(&c.rng, 20000) : 0;

		if (!c.cut)
			ns = LONG;	/* one is ended early for certain */
		check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
		c.scope = &scope;
		result = 0;
		if (!pirn_call(1, short_there, (void *)ns, &result))
			c.cut += result == -ECANCELED;
		c.scope = NULL;
		pirn_scope_end(&scope);
		/* the same frame: the same name of the call */
		check_eq(pirn_scope_begin(&other, PIRN_NEVER), 0);
		result = -1;
		check_eq(pirn_call(1, untouched_there, NULL, &result), 0);
		check_eq(result, 0);
		check_eq(pirn_scope_end(&other), 0);
	}
	c.over = true;
	check_eq(pirn_join(fiber, NULL), 0);
	return 0;
}

static int crossings(void *arg)
{
	struct pirn_fiber *fiber[6];
	unsigned int i;

	(void)arg;
	for (i = 0; i < array_size(fiber); i++)
		check_eq(pirn_spawn(&fiber[i], cross, (void *)(uintptr_t)(i + 1)), 0);
	for (i = 0; i < array_size(fiber); i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

TEST(a_cancel_that_crosses_the_reply_touches_no_later_call)
{
	run_on_cores(NULL, crossings, NULL);
}

TEST(the_same_with_room_for_one_message)
{
	run_on_cores(&small, crossings, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cancelling_follows_a_call_to_any_depth),
		cmocka_unit_test(cancelling_follows_every_call_of_a_fiber),
		cmocka_unit_test(a_call_that_waits_for_room_is_never_sent),
		cmocka_unit_test(a_cancel_without_room_goes_with_its_call),
		cmocka_unit_test(a_cancel_that_crosses_the_reply_touches_no_later_call),
		cmocka_unit_test(the_same_with_room_for_one_message),
	};

	return run_program(argc, argv, "cancel_call", tests, array_size(tests));
}
