// SPDX-License-Identifier: MIT
/*
 * Random trees of scopes and fibers against a model that knows nothing of lists
 * and walks: a scope has ended when it was told to, or when the one around it
 * has and it is not shielded from that. Each call that parks is held against it
 * when it begins and when it returns.
 */
#include <errno.h>
#include <stdlib.h>

#include <pirn/scope.h>

#include "helpers.h"

#define LONG 100000000000000ull

/* What the model knows of a scope; `around` NULL: the outermost. */
struct node {
	struct node *around;
	struct pirn_scope scope;
	bool shielded;			/* from around */
	bool told;			/* to end: by cancel, or a member's error */
	unsigned int told_at;
	int first;			/* what it was told with */
	bool may_differ;		/* it had ended from around before */
	bool refused;			/* something inside was, because it ended */
	bool maybe_refused;		/* or because one inside it had ended before */
	unsigned int members;
};

struct world {
	struct rng rng;
	unsigned int fibers;		/* alive */
	unsigned int ops;		/* left to do */
	unsigned int refusals;
	bool calls;			/* to another core, too */
};

struct actor {
	struct world *world;
	struct node *node;
};

static bool has_ended(const struct node *node)
{
	for (; node; node = node->shielded ? NULL : node->around)
		if (node->told)
			return true;
	return false;
}

/* When that was, of one that has. */
static unsigned int ended_at(const struct node *node)
{
	unsigned int at = ~0u;

	for (; node; node = node->shielded ? NULL : node->around)
		if (node->told && node->told_at < at)
			at = node->told_at;
	return at;
}

/* Whether the end of the outermost gets here. */
static bool reached(const struct node *node)
{
	for (; node; node = node->around)
		if (node->shielded)
			return false;
	return true;
}

static void tell_end(struct node *node, int error)
{
	static unsigned int now;

	if (!node->told && !node->first)
		node->first = error;
	if (has_ended(node) && !node->told)
		node->may_differ = true;
	if (!node->told)
		node->told_at = ++now;
	node->told = true;
}

/*
 * Whatever ended inside which this fiber is knows of the refusal.  Of a wait that
 * was cut short (not @at_once) that is what ended first; what ended before the
 * fiber ran and told of it had no part, but may have had one in a call, which is
 * asked twice.
 */
static void note_refusal(struct world *w, struct node *node, bool at_once)
{
	unsigned int first = ended_at(node);

	w->refusals++;
	for (; node && has_ended(node); node = node->shielded ? NULL : node->around) {
		if (at_once || ended_at(node) == first)
			node->refused = true;
		else
			node->maybe_refused = true;
	}
}

/* A call that parks has returned @err; @before: the scope had ended then. */
static void check_result(struct world *w, struct node *node, int err, bool before,
			 bool in_shield)
{
	if (in_shield) {
		check_eq(err, 0);
		return;
	}
	if (before)
		check_eq(err, -ECANCELED);
	if (!err)
		return;
	check_eq(err, -ECANCELED);
	check(has_ended(node));
	note_refusal(w, node, before);
}

static void live(struct world *w, struct node *node, unsigned int depth,
		 bool in_shield);

static int spawned(void *arg)
{
	struct actor *actor = arg;
	struct world *w = actor->world;
	struct node *node = actor->node;
	int result = 0;

	free(actor);
	live(w, node, 1, false);
	if (rng_below(&w->rng, 12) == 0)
		result = -(int)(1 + rng_below(&w->rng, 30));
	if (result)
		tell_end(node, result);
	node->members--;
	w->fibers--;
	return result;
}

static struct node *one_around(struct world *w, struct node *node)
{
	while (node->around && rng_below(&w->rng, 2))
		node = node->around;
	return node;
}

static void spawn_into(struct world *w, struct node *node)
{
	struct actor *actor;
	bool before = has_ended(node);
	int err;

	if (w->fibers >= 60)
		return;
	actor = malloc(sizeof(*actor));
	check(actor);
	*actor = (struct actor) { w, node };
	err = pirn_scope_spawn(&node->scope, spawned, actor);
	check_eq(err, before ? -ECANCELED : 0);
	if (err) {
		note_refusal(w, node, true);
		free(actor);
		return;
	}
	node->members++;
	w->fibers++;
}

static void in_a_scope(struct world *w, struct node *around, unsigned int depth,
		       bool in_shield)
{
	struct node node = { .around = around, .shielded = in_shield };
	int err;

	check_eq(pirn_scope_begin(&node.scope, PIRN_NEVER), 0);
	live(w, &node, depth + 1, false);
	err = pirn_scope_end(&node.scope);
	check_eq(node.members, 0);
	if (!node.told && !node.refused && (!node.maybe_refused || !err))
		check_eq(err, 0);
	else if (node.may_differ || (node.told && node.refused))
		check_op(err, <, 0);
	else
		check_eq(err, node.told ? node.first : -ECANCELED);
}

static int sleep_there(void *arg)
{
	return pirn_sleep((uint64_t)(uintptr_t)arg);
}

static void call(struct world *w, struct node *node, bool in_shield)
{
	uintptr_t ns = rng_below(&w->rng, 4) ? rng_below(&w->rng, 100000) : LONG;
	bool before = has_ended(node);
	int err, result = 0;

	if (ns == LONG && (in_shield || !reached(node)))
		return;		/* it would wait that long */
	err = pirn_call(1, sleep_there, (void *)ns, &result);
	check_result(w, node, err, before, in_shield);
	if (err || !result)
		return;
	check_eq(result, -ECANCELED);
	check(has_ended(node) && !in_shield);
}

static void act(struct world *w, struct node *node, unsigned int depth,
		bool in_shield)
{
	bool before = has_ended(node);
	struct node *other;
	int err;

	switch (rng_below(&w->rng, 12)) {
	case 0: case 1:
		check_eq(pirn_yield(), 0);
		break;
	case 2: case 3:
		err = pirn_sleep(rng_below(&w->rng, 50000));
		check_result(w, node, err, before, in_shield);
		break;
	case 4: case 5: case 6:
		spawn_into(w, one_around(w, node));
		break;
	case 7:
		if (depth < 12)
			in_a_scope(w, node, depth, in_shield);
		break;
	case 8:
		other = one_around(w, node);
		if (rng_below(&w->rng, 3))
			break;
		err = -(int)(1 + rng_below(&w->rng, 30));
		tell_end(other, err);
		check_eq(pirn_scope_cancel(&other->scope, err), 0);
		break;
	case 9:
		if (depth >= 12)
			break;
		check_eq(pirn_shield_begin(), 0);
		live(w, node, depth + 1, true);
		check_eq(pirn_shield_end(), 0);
		break;
	case 10:
		/* only the end of a scope ends it */
		if (in_shield || !reached(node))
			break;
		err = pirn_sleep(LONG);
		check_eq(err, -ECANCELED);
		check_result(w, node, err, before, false);
		break;
	default:
		if (w->calls)
			call(w, node, in_shield);
		check_eq(pirn_cancelled(),
			 !in_shield && has_ended(node) ? -ECANCELED : 0);
		if (!in_shield && has_ended(node))
			note_refusal(w, node, true);
		break;
	}
}

/* What one fiber does for a while inside @node. */
static void live(struct world *w, struct node *node, unsigned int depth,
		 bool in_shield)
{
	uint64_t n = rng_below(&w->rng, 8);

	while (n-- && w->ops) {
		w->ops--;
		act(w, node, depth, in_shield);
	}
}

struct round {
	struct world world;
	struct node root;
	unsigned int n;
};

static int ender(void *arg)
{
	struct round *round = arg;

	/* when nobody does anything any more, those that sleep for good do */
	while (round->n) {
		check_eq(pirn_sleep(2000000), 0);
		if (!round->n)
			break;
		tell_end(&round->root, -ECANCELED);
		check_eq(pirn_scope_cancel(&round->root.scope, -ECANCELED), 0);
	}
	return 0;
}

static void one_round(uint64_t seed, bool calls)
{
	struct round round = {
		.world = { .rng = { seed }, .ops = 300, .calls = calls },
		.n = 1,
	};
	struct pirn_core_stats stats = { .size = sizeof(stats) };
	struct pirn_fiber *fiber;
	unsigned int i;

	check_eq(pirn_scope_begin(&round.root.scope, PIRN_NEVER), 0);
	for (i = 0; i < 5; i++)
		spawn_into(&round.world, &round.root);
	check_eq(pirn_spawn(&fiber, ender, &round), 0);
	pirn_scope_end(&round.root.scope);
	check_eq(round.world.fibers, 0);
	check_eq(round.root.members, 0);
	round.n = 0;
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.fibers, 1);
}

static int rounds(void *arg)
{
	uint64_t seed;

	for (seed = 1; seed <= scaled(300, 40); seed++)
		one_round(seed, arg != NULL);
	return 0;
}

TEST(random_trees_agree_with_the_model)
{
	run_on(NULL, rounds, NULL);
}

TEST(random_trees_with_calls_agree_too)
{
	static struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.call_depth = 2;
	run_on_cores(&opt, rounds, &opt);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_trees_agree_with_the_model),
		cmocka_unit_test(random_trees_with_calls_agree_too),
	};

	return run_program(argc, argv, "scope_model", tests, array_size(tests));
}
