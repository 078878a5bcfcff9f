// SPDX-License-Identifier: MIT
/*
 * Fibers left when the main fiber has returned: who they are, which each core
 * says on its own thread after its last turn, and their cleanup handlers.  What
 * a fiber does is told here for a deadlock of the simulator too (sim_dead.c).
 */
#include "lib.h"
#include "mailbox.h"
#include "op.h"
#include "scope.h"

static const char *const op_names[] = {
	[PIRN_IO_READ] = "pirn_pread",
	[PIRN_IO_WRITE] = "pirn_pwrite",
	[PIRN_IO_FSYNC] = "pirn_fsync",
	[PIRN_IO_FDATASYNC] = "pirn_fdatasync",
	[PIRN_IO_FALLOCATE] = "pirn_fallocate",
	[PIRN_IO_DISCARD] = "pirn_discard",
};

/* What it stopped in: a wait says so, calls and IO have a record. */
void pirn_fiber_describe(const struct pirn_fiber *fiber,
			 struct pirn_fiber_info *info)
{
	*info = (struct pirn_fiber_info) {
		.size = sizeof(*info),
		.core = fiber->core->index,
		.other_core = -1,
		.name = fiber->name,
		.fn = fiber->fn,
		.arg = fiber->arg,
	};
	if (fiber->runnable) {
		info->doing = NULL;
	} else if (fiber->wait) {
		info->doing = fiber->doing;
	} else if (fiber->calling) {
		info->doing = "pirn_call";
		info->other_core = (int)fiber->calling->to;
	} else if (fiber->op) {
		info->doing = op_names[fiber->op->kind];
		info->file = fiber->op->file;
	} else {
		info->doing = fiber->doing;
	}
}

/* The first of all, in words, for pirn_options.message. */
static void note(struct pirn_runtime *rt, const struct pirn_fiber_info *info)
{
	char who[64];

	if (rt->left_fibers++)
		return;
	if (info->name)
		snprintf(who, sizeof(who), "\"%s\"", info->name);
	else
		snprintf(who, sizeof(who), "function %p",
			 (void *)(uintptr_t)info->fn);
	snprintf(rt->left_first, sizeof(rt->left_first), "%s on core %u, %s%s",
		 who, info->core, info->doing ? "in " : "runnable",
		 info->doing ? info->doing : "");
}

static void report_one(struct pirn_core *core, struct pirn_fiber *fiber)
{
	struct pirn_runtime *rt = core->rt;
	struct pirn_fiber_info info;

	pirn_fiber_describe(fiber, &info);
	note(rt, &info);
	if (rt->opt.left)
		rt->opt.left(rt->opt.left_arg, &info);
}

void pirn_left_report(struct pirn_core *core)
{
	core->live = false;	/* nothing can be called any more */
	if (!core->fibers)
		return;
	for (struct pirn_fiber *f = core->runnable.head; f; f = f->next)
		f->runnable = true;
	pthread_mutex_lock(&core->rt->lock);
	pirn_fibers_each(core, report_one);
	pthread_mutex_unlock(&core->rt->lock);
}

static void drop_one(struct pirn_core *core, struct pirn_fiber *fiber)
{
	(void)core;
	pirn_cleanup_drop(fiber);
}

void pirn_left_drop(struct pirn_core *core)
{
	if (core->fibers)
		pirn_fibers_each(core, drop_one);
}
