/* SPDX-License-Identifier: MIT */
/* Something in a scope and a fiber of its own, so that it can be cancelled. */
#ifndef PIRN_TESTS_TASK_H
#define PIRN_TESTS_TASK_H

#include <pirn/scope.h>

#include "helpers.h"

#define MS 1000000ull
#define LONG (100000 * MS)

struct task {
	struct pirn_scope scope;
	struct pirn_fiber *fiber;
	int (*fn)(void *arg);
	void *arg;
	int error;			/* that the scope ended with */
	bool begun;
};

static inline int task_fiber(void *arg)
{
	struct task *task = arg;
	int result;

	check_eq(pirn_scope_begin(&task->scope, PIRN_NEVER), 0);
	task->begun = true;
	result = task->fn(task->arg);
	task->error = pirn_scope_end(&task->scope);
	return result;
}

/* Returns when it has begun and the core went round once. */
static inline void task_start(struct task *task, int (*fn)(void *arg), void *arg)
{
	memset(task, 0, sizeof(*task));
	task->fn = fn;
	task->arg = arg;
	check_eq(pirn_spawn(&task->fiber, task_fiber, task), 0);
	while (!task->begun)
		check_eq(pirn_yield(), 0);
	check_eq(pirn_yield(), 0);
}

static inline void task_cancel(struct task *task)
{
	check_eq(pirn_scope_cancel(&task->scope, -ECANCELED), 0);
}

static inline int task_join(struct task *task)
{
	int result;

	check_eq(pirn_join(task->fiber, &result), 0);
	return result;
}

#endif /* PIRN_TESTS_TASK_H */
