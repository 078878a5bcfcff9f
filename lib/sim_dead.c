// SPDX-License-Identifier: MIT
/*
 * When nothing can ever happen again: who is parked, and in what.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "scope.h"
#include "sim.h"

#define SHOWN 32u			/* fibers of a core */
#define SLABS 4096u			/* of stacks; older ones are not shown */

struct list {
	FILE *out;
	uint32_t shown;
	uint32_t more;
};

/* The function it began with, as a linker or addr2line knows it. */
static void show_function(FILE *out, const struct pirn_fiber *fiber)
{
	const struct pirn_runtime *rt = fiber->core->rt;
	/* Of the first fiber, what the program gave. */
	uintptr_t at = (uintptr_t)(fiber->arg == rt ? rt->main_fn : fiber->fn);
	Dl_info info;

	if (!dladdr((void *)at, &info) || !info.dli_fname)
		return;
	if (info.dli_sname && info.dli_saddr == (void *)at) {
		fprintf(out, ", began in %s()", info.dli_sname);
	} else {
		const char *slash = strrchr(info.dli_fname, '/');

		fprintf(out, ", began at %s+0x%llx",
			slash ? slash + 1 : info.dli_fname,
			(unsigned long long)(at - (uintptr_t)info.dli_fbase));
	}
}

static void show(struct list *list, const struct pirn_fiber *fiber,
		 uint32_t number)
{
	struct pirn_fiber_info info;

	if (fiber->ended)
		return;
	if (list->shown == SHOWN) {
		list->more++;
		return;
	}
	list->shown++;
	fprintf(list->out, "\n  fiber %u", number);
	if (fiber->name)
		fprintf(list->out, " (%s)", fiber->name);
	pirn_fiber_describe(fiber, &info);
	fprintf(list->out, ", parked in %s", info.doing);
	if (info.other_core >= 0)
		fprintf(list->out, " to core %d", info.other_core);
	show_function(list->out, fiber);
}

/* In the order of their stacks' first use: slabs are listed last made first. */
static void show_core(struct list *list, const struct pirn_core *core)
{
	const struct pirn_stack_slab *slab, *slabs[SLABS];
	uint32_t count = 0, number = 0;

	for (slab = core->stacks.slabs; slab && count < SLABS; slab = slab->next)
		slabs[count++] = slab;
	while (count-- > 0)
		for (uint32_t i = 0; i < slabs[count]->used; i++)
			show(list, pirn_stack_of_slab(&core->stacks,
						      slabs[count], i),
			     number++);
}

int sim_dead(struct pirn_sim *sim)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return sim_error(sim, -EDEADLK, "deadlock");
	fprintf(out, "deadlock: nothing can happen any more, and %u nodes have not ended",
		sim->live);
	for (uint32_t i = 0; i < SIM_NODES; i++) {
		struct sim_node *node = sim->node[i];

		if (!node || !node->rt)
			continue;
		for (uint32_t c = 0; c < node->rt->cores; c++) {
			struct pirn_core *core = node->rt->core[c];
			struct list list = { .out = out };

			fprintf(out, "\nnode %u core %u: %u fibers", i, c,
				core->fibers);
			show_core(&list, core);
			if (list.more)
				fprintf(out, "\n  and %u more", list.more);
		}
	}
	fclose(out);
	sim_log(sim, NULL, -1, "deadlock");
	free(sim->message);
	sim->message = text;
	return -EDEADLK;
}
