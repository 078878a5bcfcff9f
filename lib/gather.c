// SPDX-License-Identifier: MIT
/*
 * A call on all cores at once.
 *
 * The places of the replies are on the caller's stack, which may be small, so
 * one fiber calls a few others at most: where there are more cores, each of the
 * few is the first of a part, and calls the rest of it in the same way.
 */
#include <pirn/message.h>

#include "lib.h"
#include "mailbox.h"
#include "schedule.h"

/* Calls of one fiber; more cores than this make a tree. */
#define LEGS 16u

/* What is called; on the stack of the one who began it. */
struct gather {
	int (*fn)(void *arg);
	void *const *args;		/* one a core; NULL: arg for all */
	void *arg;
	int *results;			/* one a core, or NULL */
};

/* Some cores, and what came of it: the lowest one that failed. */
struct part {
	const struct gather *gather;
	uint32_t first;
	uint32_t count;
	int error;
	uint32_t failed;
};

struct wait_all {
	uint32_t left;			/* replies that have not come */
	bool parked;
};

struct leg {
	struct pirn_call call;
	struct wait_all *all;
	struct part part;
	int refused;			/* why the call was not sent */
};

static int run_part(void *arg);

static void leg_replied(struct pirn_core *core, struct pirn_call *call)
{
	struct leg *leg = container_of(call, struct leg, call);

	core->out[leg->part.first].outstanding--;
	if (!--leg->all->left && leg->all->parked)
		pirn_fiber_ready(core, call->caller);
}

static void leg_send(struct pirn_core *core, struct leg *leg)
{
	const struct gather *gather = leg->part.gather;
	uint32_t to = leg->part.first;
	struct pirn_message message = { .kind = PIRN_MESSAGE_CALL };

	if (leg->part.count > 1) {
		message.fn = run_part;
		message.arg = &leg->part;
	} else {
		message.fn = gather->fn;
		message.arg = gather->args ? gather->args[to] : gather->arg;
	}
	leg->call.replied = leg_replied;
	leg->refused = pirn_call_send(core, to, &message, &leg->call);
	if (!leg->refused)
		leg->all->left++;
}

/* Puts what came of one leg into the whole. */
static void leg_settle(struct part *part, const struct leg *leg)
{
	const struct gather *gather = part->gather;
	int error = leg->refused ? leg->refused : leg->call.error;
	uint32_t failed = leg->part.first;

	if (error || leg->part.count == 1) {
		int result = error ? error : leg->call.result;

		for (uint32_t i = 0; gather->results && i < leg->part.count; i++)
			gather->results[leg->part.first + i] = result;
		error = result;
	} else {
		error = leg->part.error;
		failed = leg->part.failed;
	}
	if (error < 0 && !part->error) {
		part->error = error;
		part->failed = failed;
	}
}

static int run_part(void *arg)
{
	struct part *part = arg;
	struct pirn_core *core = pirn_this_core;
	struct wait_all all = { 0, false };
	uint32_t end = part->first + part->count, each, legs = 0;
	struct leg leg[LEGS];

	each = (part->count + LEGS - 1) / LEGS;
	for (uint32_t at = part->first; at < end; at += each) {
		struct leg *l = &leg[legs++];

		l->all = &all;
		l->part = (struct part){
			.gather = part->gather, .first = at,
			.count = each < end - at ? each : end - at,
		};
		leg_send(core, l);
	}
	if (all.left) {
		all.parked = true;
		core->current->doing = "pirn_call_all";
		pirn_fiber_stop(core);
	}
	pirn_calls_over(core);
	for (uint32_t i = 0; i < legs; i++)
		leg_settle(part, &leg[i]);
	return 0;
}

static int call_all(const struct gather *gather, const char *who)
{
	struct pirn_core *core = pirn_this();
	struct part whole = { .gather = gather };

	if (!core)
		return -EPERM;
	if (!gather->fn)
		return pirn_fail(core, -EINVAL, "%s: fn is NULL", who);
	whole.count = core->rt->cores;
	run_part(&whole);
	if (whole.error)
		return pirn_fail(core, whole.error, "%s: core %u: %s", who,
				 whole.failed, strerror(-whole.error));
	return 0;
}

/* ---------------------------------------------------------------- public */

int pirn_call_all(int (*fn)(void *arg), void *arg, int *results)
{
	struct gather gather = { .fn = fn, .arg = arg, .results = results };

	return call_all(&gather, "pirn_call_all");
}

int pirn_call_each(int (*fn)(void *arg), void *const *args, int *results)
{
	struct gather gather = { .fn = fn, .args = args, .results = results };
	struct pirn_core *core = pirn_this();

	if (core && !args)
		return pirn_fail(core, -EINVAL, "pirn_call_each: args is NULL");
	return call_all(&gather, "pirn_call_each");
}
