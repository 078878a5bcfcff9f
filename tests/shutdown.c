// SPDX-License-Identifier: MIT
/* How fibers end: cleanup handlers, pirn_exit(), and those left at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#include <pirn/scope.h>

#include "held.h"

#define MS 1000000ull
#define LONG (100000 * MS)

/* What happened, as a word; of one core only. */
static char story[64];

static void tell(void *arg)
{
	size_t n = strlen(story);

	check_op(n, <, sizeof(story) - 1);
	story[n] = *(const char *)arg;
	story[n + 1] = '\0';
}

static void check_story(const char *want)
{
	if (strcmp(story, want))
		check_failed(__FILE__, __LINE__, "%s, not %s", story, want);
	story[0] = '\0';
}

static char letters[] = "abcdefghijklmnopqrstuvwxyz";

static void push(struct pirn_cleanup *cleanup, char letter)
{
	check_eq(pirn_cleanup_push(cleanup, tell, &letters[letter - 'a']), 0);
}

/* --------------------------------------------------------------- handlers */

static struct pirn_cleanup lasting[8];

static int returns_with_handlers(void *arg)
{
	struct pirn_cleanup inner;

	(void)arg;
	push(&lasting[0], 'a');
	push(&lasting[1], 'b');
	push(&inner, 'c');
	check_eq(pirn_cleanup_pop(&lasting[1], 1), -EINVAL);
	check_eq(pirn_cleanup_pop(NULL, 1), -EINVAL);
	check_story("");
	check_eq(pirn_cleanup_pop(&inner, 1), 0);
	check_story("c");
	check_eq(pirn_cleanup_pop(&inner, 1), -EINVAL);
	push(&inner, 'd');
	check_eq(pirn_cleanup_pop(&inner, 0), 0);
	check_story("");
	push(&lasting[2], 'e');
	return 12;
}

static int handlers(void *arg)
{
	struct pirn_fiber *fiber;
	int result;

	(void)arg;
	check_eq(pirn_cleanup_push(NULL, tell, NULL), -EINVAL);
	check_eq(pirn_cleanup_push(&lasting[0], NULL, NULL), -EINVAL);
	check_eq(pirn_spawn(&fiber, returns_with_handlers, NULL), 0);
	check_eq(pirn_join(fiber, &result), 0);
	check_eq(result, 12);
	check_story("eba");
	push(&lasting[3], 'm');		/* the main fiber's run, too */
	return 0;
}

TEST(handlers_run_last_pushed_first)
{
	run_on(NULL, handlers, NULL);
	check_story("m");
}

static void sleep_and_tell(void *arg)
{
	struct pirn_scope scope;

	check_eq(pirn_cancelled(), 0);
	check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_scope_begin(&scope, pirn_now() + MS), 0);
	check_eq(pirn_sleep(LONG), -ETIMEDOUT);
	check_eq(pirn_scope_end(&scope), -ETIMEDOUT);
	tell(arg);
}

static int refused_with_handler(void *arg)
{
	(void)arg;
	check_eq(pirn_cleanup_push(&lasting[0], sleep_and_tell, letters), 0);
	return pirn_sleep(LONG);
}

static int shielded_handlers(void *arg)
{
	struct pirn_scope scope;
	struct pirn_cleanup mine;

	(void)arg;
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, refused_with_handler, NULL), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_scope_cancel(&scope, -EINTR), 0);
	check_eq(pirn_cleanup_push(&mine, sleep_and_tell, &letters[1]), 0);
	check_eq(pirn_scope_end(&scope), -EINVAL);	/* a handler is open */
	check_eq(pirn_cleanup_pop(&mine, 1), 0);
	check_eq(pirn_scope_end(&scope), -EINTR);
	check_eq(strlen(story), 2);
	return 0;
}

TEST(handlers_are_shielded_and_may_park)
{
	run_on(NULL, shielded_handlers, NULL);
}

/* ------------------------------------------------------------------ exit */

static int member(void *arg)
{
	if (pirn_sleep(LONG) == -ECANCELED)
		tell(arg);
	return 0;
}

/* Never inlined away: deep below there is no way back but out. */
static void deep(unsigned int depth, int result)
{
	struct pirn_cleanup cleanup;
	struct pirn_scope scope;

	if (depth == 0) {
		pirn_exit(result);
		return;
	}
	push(&cleanup, (char)('a' + depth));
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, member, &letters[depth + 20]), 0);
	check_eq(pirn_yield(), 0);
	deep(depth - 1, result);
	check_failed(__FILE__, __LINE__, "pirn_exit returned");
}

static int exits(void *arg)
{
	deep(3, *(int *)arg);
	return 0;
}

static int exit_from_depth(void *arg)
{
	struct pirn_fiber *fiber;
	struct pirn_scope scope;
	int result = -EDOM, got;

	(void)arg;
	check_eq(pirn_spawn(&fiber, exits, &result), 0);
	check_eq(pirn_join(fiber, &got), 0);
	check_eq(got, -EDOM);
	/* scope by scope, handler by handler, from the inside */
	check_story("vbwcxd");
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&scope, exits, &result), 0);
	check_eq(pirn_scope_end(&scope), -EDOM);
	check_story("vbwcxd");
	check_eq(pirn_call(0, exits, &result, &got), 0);
	check_eq(got, -EDOM);
	check_story("vbwcxd");
	deep(2, 99);
	return 0;
}

TEST(exit_ends_scopes_and_handlers_from_the_inside)
{
	check_eq(run_on(NULL, exit_from_depth, NULL), 99);
	check_story("vbwc");
}

/* -------------------------------------------- what a frame that is gone held */

static int leaves_scope(void *arg)
{
	struct pirn_scope scope;

	(void)arg;
	return pirn_scope_begin(&scope, PIRN_NEVER);
}

static int leaves_handler(void *arg)
{
	struct pirn_cleanup cleanup;

	(void)arg;
	return pirn_cleanup_push(&cleanup, tell, letters);
}

/* Runs fn in a child that must die of abort() and say @word. */
static void dies(int (*fn)(void *arg), const char *word)
{
	char text[512] = "";
	int fds[2], status;
	ssize_t n, have = 0;
	pid_t pid;

	must(pipe(fds));
	pid = must(fork());
	if (!pid) {
		must(dup2(fds[1], STDERR_FILENO));
		run_on(NULL, fn, NULL);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + have, sizeof(text) - 1 - (size_t)have)) > 0)
		have += n;
	close(fds[0]);
	must(waitpid(pid, &status, 0));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
	    !strstr(text, word))
		check_failed(__FILE__, __LINE__, "status 0x%x: %s",
			     (unsigned int)status, text);
}

TEST(returning_from_an_open_frame_ends_the_program)
{
	dies(leaves_scope, "pirn_scope_end() is missing");
	dies(leaves_handler, "pirn_cleanup_pop() is missing");
}

static struct pirn_scope lasting_scope;

static int leaves_lasting_scope(void *arg)
{
	check_eq(pirn_scope_begin(&lasting_scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn(&lasting_scope, member, arg), 0);
	check_eq(pirn_yield(), 0);
	return 4;
}

static int lasting_frames(void *arg)
{
	struct pirn_fiber *fiber;
	int result;

	(void)arg;
	check_eq(pirn_spawn(&fiber, leaves_lasting_scope, letters), 0);
	check_eq(pirn_join(fiber, &result), 0);
	check_eq(result, 4);
	check_story("a");
	return 0;
}

TEST(a_scope_in_lasting_memory_ends_with_its_fiber)
{
	run_on(NULL, lasting_frames, NULL);
}

/* ------------------------------------------------------------------- left */

struct left_one {
	struct pirn_fiber_info info;
	char name[32];
	char doing[64];
};

static struct left_one left_list[32];
static unsigned int left_count;

static void left(void *arg, const struct pirn_fiber_info *info)
{
	struct left_one *one = &left_list[left_count++];

	check(arg == left_list);
	check_eq(info->size, sizeof(*info));
	check_eq(pirn_sleep(0), -EPERM);
	one->info = *info;
	snprintf(one->name, sizeof(one->name), "%s", info->name ? info->name : "");
	snprintf(one->doing, sizeof(one->doing), "%s",
		 info->doing ? info->doing : "runnable");
}

static struct left_one *left_find(void *arg)
{
	struct left_one *found = NULL;

	for (unsigned int i = 0; i < left_count; i++) {
		if (left_list[i].info.arg != arg)
			continue;
		check(!found);
		found = &left_list[i];
	}
	check(found);
	return found;
}

static struct pirn_file *left_file;
static char *left_buf;
static char marks[8];
static atomic_int ready_there;

static int left_sleeps(void *arg)
{
	(void)arg;
	return pirn_sleep(LONG);
}

static int left_parks(void *arg)
{
	(void)arg;
	return pirn_park();
}

static int left_reads(void *arg)
{
	(void)arg;
	pirn_pread(left_file, left_buf, 4096, 0);
	check_failed(__FILE__, __LINE__, "a fiber that was left ran");
}

static int left_callee(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ready_there, 1);
	return pirn_park();
}

static int left_calls(void *arg)
{
	(void)arg;
	return pirn_call(1, left_callee, &marks[5], NULL);
}

static int left_ends_scope(void *arg)
{
	struct pirn_fiber_options named = PIRN_FIBER_OPTIONS_INIT;
	struct pirn_scope scope;

	(void)arg;
	named.name = "flusher";
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_scope_spawn_options(&scope, &named, left_sleeps, &marks[6]),
		 0);
	return pirn_scope_end(&scope);
}

static int ends(void *arg)
{
	(void)arg;
	return 0;
}

static int leave_many(void *arg)
{
	struct pirn_fiber *fiber;

	(void)arg;
	hold_begin();
	check_eq(pirn_open(&left_file, test_target()->path, O_RDWR, 0), 0);
	left_buf = pirn_buf_alloc(4096);
	held.keep = true;
	held.at_the_end = true;
	check_eq(pirn_spawn(NULL, left_sleeps, &marks[0]), 0);
	check_eq(pirn_spawn(NULL, left_parks, &marks[1]), 0);
	check_eq(pirn_spawn(NULL, left_reads, &marks[2]), 0);
	check_eq(pirn_spawn(NULL, left_calls, &marks[3]), 0);
	check_eq(pirn_spawn(NULL, left_ends_scope, &marks[4]), 0);
	while (!atomic_load(&ready_there))
		check_eq(pirn_sleep(MS), 0);
	check_eq(pirn_sleep(5 * MS), 0);	/* the callee parks, too */
	/* ended, and only not joined: not left; never run at all: left */
	check_eq(pirn_spawn(&fiber, ends, &marks[0]), 0);
	check_eq(pirn_yield(), 0);
	check_eq(pirn_spawn(NULL, ends, &marks[7]), 0);
	return 0;
}

static void check_left(char *mark, unsigned int core, const char *doing)
{
	struct left_one *one = left_find(mark);

	check_eq(one->info.core, core);
	if (strcmp(one->doing, doing))
		check_failed(__FILE__, __LINE__, "%s, not %s", one->doing, doing);
}

TEST(those_left_are_told_of)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[512];

	opt.left = left;
	opt.left_arg = left_list;
	opt.message = message;
	opt.message_bytes = sizeof(message);
	run_on_cores(&opt, leave_many, NULL);
	check_eq(left_count, 8);
	check_left(&marks[0], 0, "pirn_sleep");
	check_left(&marks[1], 0, "pirn_park");
	check_left(&marks[2], 0, "pirn_pread");
	check(left_find(&marks[2])->info.file == left_file);
	check_left(&marks[3], 0, "pirn_call");
	check_eq(left_find(&marks[3])->info.other_core, 1);
	check_eq(left_find(&marks[0])->info.other_core, -1);
	check(!left_find(&marks[0])->info.file);
	check_left(&marks[4], 0, "pirn_scope_end");
	check_left(&marks[5], 1, "pirn_park");
	check(left_find(&marks[5])->info.fn == left_callee);
	check_left(&marks[6], 0, "pirn_sleep");
	check(strcmp(left_find(&marks[6])->name, "flusher") == 0);
	check(!left_find(&marks[0])->info.name);
	check_left(&marks[7], 0, "runnable");
	check(simulated() || strstr(message, "backend "));
	check(strstr(message, "; 8 fibers were left"));
}

static int leave_none(void *arg)
{
	run_fibers(10, ends, arg);
	return 0;
}

static int leave_one(void *arg)
{
	struct pirn_fiber_options named = PIRN_FIBER_OPTIONS_INIT;

	named.name = "flusher";
	check_eq(pirn_spawn_options(NULL, &named, left_sleeps, arg), 0);
	check_eq(pirn_sleep(MS), 0);
	return 0;
}

TEST(the_message_counts_them)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[512];

	opt.message = message;
	opt.message_bytes = sizeof(message);
	run_on(&opt, leave_none, NULL);
	check(!strstr(message, "left"));
	run_on(&opt, leave_one, NULL);
	check(strstr(message, "; 1 fiber was left"));
	check(strstr(message, "\"flusher\" on core 0, in pirn_sleep"));
}

/* ------------------------------------------------------- dropped, with handlers */

static void dropped(void *arg)
{
	struct pirn_core_stats s = { .size = sizeof(s) };

	/* the runtime is over */
	check_eq(pirn_yield(), -EPERM);
	check_eq(pirn_sleep(0), -EPERM);
	check_eq(pirn_park(), -EPERM);
	check_eq(pirn_spawn(NULL, ends, NULL), -EPERM);
	check_eq(pirn_core_stats(&s), -EPERM);
	check_eq(pirn_cleanup_push(&lasting[7], tell, NULL), -EPERM);
	check_eq(pirn_exit(1), -EPERM);
	check(!pirn_self());
	tell(arg);
}

static int is_dropped(void *arg)
{
	struct pirn_cleanup a, b;
	struct pirn_scope scope;

	(void)arg;
	check_eq(pirn_cleanup_push(&a, dropped, &letters[0]), 0);
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	check_eq(pirn_cleanup_push(&b, dropped, &letters[1]), 0);
	pirn_sleep(LONG);
	check_failed(__FILE__, __LINE__, "a fiber that was left ran");
}

static bool freed;

static void free_it(void *arg)
{
	/* its IO has ended: nobody writes to what the handler gives back */
	check_eq(held.count, 0);
	free(arg);
	freed = true;
}

static int is_dropped_in_io(void *arg)
{
	struct pirn_cleanup cleanup;

	check_eq(pirn_cleanup_push(&cleanup, free_it, malloc(100)), 0);
	return left_reads(arg);
}

static int drop(void *arg)
{
	(void)arg;
	hold_begin();
	check_eq(pirn_open(&left_file, test_target()->path, O_RDWR, 0), 0);
	left_buf = pirn_buf_alloc(4096);
	held.keep = true;
	held.at_the_end = true;
	check_eq(pirn_spawn(NULL, is_dropped, NULL), 0);
	check_eq(pirn_spawn(NULL, is_dropped_in_io, NULL), 0);
	check_eq(pirn_sleep(MS), 0);
	return 6;
}

TEST(handlers_of_dropped_fibers_run_after_their_io)
{
	not_simulated("its backend looks at nothing after the last turn");
	check_eq(run_on(NULL, drop, NULL), 6);
	check_story("ba");
	check(freed);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_run_last_pushed_first),
		cmocka_unit_test(handlers_are_shielded_and_may_park),
		cmocka_unit_test(exit_ends_scopes_and_handlers_from_the_inside),
		cmocka_unit_test(returning_from_an_open_frame_ends_the_program),
		cmocka_unit_test(a_scope_in_lasting_memory_ends_with_its_fiber),
		cmocka_unit_test(those_left_are_told_of),
		cmocka_unit_test(the_message_counts_them),
		cmocka_unit_test(handlers_of_dropped_fibers_run_after_their_io),
	};

	return run_program(argc, argv, "shutdown", tests, array_size(tests));
}
