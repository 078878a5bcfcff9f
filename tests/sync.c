// SPDX-License-Identifier: MIT
/*
 * What all waiting objects promise, tried on each of them: order, deadlines,
 * waits that end early at every moment, misuse, no allocation.  What one of them
 * promises alone is in sync_lock.c, sync_count.c and sync_fifo.c.
 */
#include "sync_kinds.h"
#include "waiter.h"

/* ---------------------------------------------------- tried on every kind */

static const struct kind *kind;
static uint64_t wait_deadline = PIRN_NEVER;

/* How a wait ended does not show in the next call that stops the fiber. */
static int call_wait(void *arg)
{
	int result = kind->wait(wait_deadline);

	(void)arg;
	check_eq(pirn_yield(), 0);
	return result;
}

#define N 5

static void start_all(struct waiter *w, unsigned int n)
{
	kind->block(n);
	waiter_places = 0;
	for (unsigned int i = 0; i < n; i++) {
		waiter_start(&w[i], call_wait, NULL);
		check_eq(w[i].result, WAITS);
	}
}

static void release_all(unsigned int n)
{
	for (unsigned int i = 0; i < (kind->passing == ONE_BY_ONE ? n : 1); i++)
		kind->release();
}

/* Runs @fn with each kind, saying which it is when it fails. */
static int each_kind(void *arg)
{
	void (*const *fn)(void) = arg;

	for (unsigned int i = 0; i < array_size(kinds); i++) {
		kind = &kinds[i];
		print_message("# %s\n", kind->name);
		(*fn)();
	}
	return 0;
}

static void on_each_kind(void (*fn)(void))
{
	run_on(NULL, each_kind, &fn);
}

static void in_order(void)
{
	struct waiter w[N];

	start_all(w, N);
	release_all(N);
	for (unsigned int i = 0; i < N; i++) {
		check_eq(waiter_end(&w[i]), 0);
		check_eq(w[i].place, i + 1);
	}
}

TEST(who_waits_first_is_served_first)
{
	on_each_kind(in_order);
}

static void one_at_a_time(void)
{
	struct waiter w[N];

	if (kind->passing != ONE_BY_ONE)
		return;
	start_all(w, N);
	for (unsigned int i = 0; i < N; i++) {
		check_eq(w[i].result, WAITS);
		kind->release();
		settle();
		check_eq(w[i].result, 0);
	}
	for (unsigned int i = 0; i < N; i++)
		check_eq(waiter_end(&w[i]), 0);
}

TEST(one_that_is_let_pass_lets_no_other_pass)
{
	on_each_kind(one_at_a_time);
}

/* The @k-th gives up at once before, or after, the others are released. */
static void end_early(unsigned int k, bool settled)
{
	struct waiter w[N + 1];
	unsigned int n = N;

	start_all(w, N);
	waiter_break(&w[k], -ECANCELED);
	if (settled) {
		settle();
		check_eq(w[k].result, -ECANCELED);
	}
	if (kind->passing == BY_NUMBER) {
		waiter_start(&w[N], call_wait, NULL);
		check_eq(w[N].result, WAITS);
		n++;
	}
	release_all(N - 1);
	for (unsigned int i = 0; i < n; i++)
		check_eq(waiter_end(&w[i]), i == k ? -ECANCELED : 0);
	for (unsigned int i = 1; i < n; i++)
		if (i != k && i - 1 != k)
			check_op(w[i].place, >, w[i - 1].place);
}

static void early(void)
{
	for (unsigned int k = 0; k < N; k++) {
		end_early(k, true);
		end_early(k, false);
	}
}

TEST(a_wait_ended_early_leaves_the_others_as_they_were)
{
	on_each_kind(early);
}

/* A machine that stops in between can only make the deadline pass too soon. */
static void served_in_time(void)
{
	struct waiter w;
	unsigned int tries = 0;

	for (;;) {
		kind->block(1);
		wait_deadline = pirn_now() + (MS << tries++);
		waiter_start(&w, call_wait, NULL);
		if (w.result == WAITS)
			break;
		check_eq(waiter_end(&w), -ETIMEDOUT);
		check_op(tries, <, 12);
	}
	/* nothing else, not even the reactor, has run since it was parked */
	pass_time_until(wait_deadline);
	kind->release();
	waiter_break(&w, -ECANCELED);
	/* now the reactor, which finds the deadline passed, and then the fiber */
	pirn_this_core->budget = 0;
	check_eq(waiter_end(&w), 0);
	wait_deadline = PIRN_NEVER;
}

TEST(who_was_served_is_neither_timed_out_nor_cancelled)
{
	on_each_kind(served_in_time);
}

static void deadline_passes(void)
{
	struct waiter w[3];

	wait_deadline = pirn_now() + 3 * MS;
	kind->block(1);
	waiter_start(&w[0], call_wait, NULL);
	check_eq(waiter_end(&w[0]), -ETIMEDOUT);
	check_op(clock_ns(), >=, wait_deadline);
	wait_deadline = PIRN_NEVER;
	/* and nothing of it is left */
	waiter_start(&w[1], call_wait, NULL);
	check_eq(w[1].result, WAITS);
	release_all(1);
	check_eq(waiter_end(&w[1]), 0);
}

TEST(a_wait_ends_at_its_deadline_not_before)
{
	on_each_kind(deadline_passes);
}

static int call_try(void *arg)
{
	(void)arg;
	return kind->wait(PIRN_TRY);
}

static void try_only(void)
{
	struct waiter w[2];

	kind->block(1);
	waiter_start(&w[0], call_try, NULL);
	check_eq(waiter_end(&w[0]), -EAGAIN);
	waiter_start(&w[1], call_wait, NULL);
	check_eq(w[1].result, WAITS);
	kind->release();
	check_eq(waiter_end(&w[1]), 0);
}

TEST(to_try_is_not_to_wait)
{
	on_each_kind(try_only);
}

static void destroy(void)
{
	struct waiter w;

	kind->block(1);
	waiter_start(&w, call_wait, NULL);
	check_eq(w.result, WAITS);
	check_eq(kind->destroy(), -EBUSY);
	kind->release();
	check_eq(waiter_end(&w), 0);
	check_eq(kind->destroy(), 0);
}

TEST(what_is_waited_for_is_not_destroyed)
{
	on_each_kind(destroy);
}

/* Such a fiber stops another way: how its wait ended must come through that. */
static void own_control_words(void)
{
	struct pirn_fiber_options opt = PIRN_FIBER_OPTIONS_INIT;
	struct waiter w = { .call = call_wait, .result = WAITS };

	opt.flags = PIRN_FIBER_FP;
	kind->block(1);
	check_eq(pirn_spawn_options(&w.fiber, &opt, waiter_run, &w), 0);
	settle();
	check_eq(w.result, WAITS);
	waiter_break(&w, -ECANCELED);
	check_eq(waiter_end(&w), -ECANCELED);
}

TEST(a_fiber_with_its_own_control_words_is_told_too)
{
	on_each_kind(own_control_words);
}

/* --------------------------------------------------------- other places */

static int try_from_there(void *arg)
{
	(void)arg;
	check_eq(kind->destroy(), -EXDEV);
	return kind->wait(PIRN_TRY);
}

static void from_there(void)
{
	int result;

	kind->block(1);
	check_eq(kind->wait(PIRN_TRY) == -EXDEV, 0);
	check_eq(pirn_call(1, try_from_there, NULL, &result), 0);
	check_eq(result, -EXDEV);
}

TEST(another_core_is_refused)
{
	void (*fn)(void) = from_there;

	run_on_cores(NULL, each_kind, &fn);
}

TEST(outside_a_fiber_is_refused)
{
	for (unsigned int i = 0; i < array_size(kinds); i++) {
		memset(&mutex, 0, sizeof(mutex));
		check_eq(kinds[i].wait(PIRN_TRY), -EPERM);
		check_eq(kinds[i].destroy(), -EPERM);
	}
}

/* ---------------------------------------------------------- allocation */

#if UNDER_ASAN || UNDER_TSAN
TEST(nothing_allocates)
{
	skip_case("the sanitizer's own malloc cannot be counted");
}
#else
static bool counting;
static unsigned int counted;

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

void *malloc(size_t bytes)
{
	counted += counting;
	return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	counted += counting;
	return __libc_calloc(n, bytes);
}

void *realloc(void *old, size_t bytes)
{
	counted += counting;
	return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
	counted += counting;
	return __libc_memalign(align, bytes);
}

static void allocations(void)
{
	end_early(1, true);		/* the stacks, and the test's own */
	counting = true;
	end_early(1, true);
	in_order();
	deadline_passes();
	counting = false;
	check_eq(counted, 0);
}

TEST(nothing_allocates)
{
	static void *memory[4];

	/* that it is counted at all */
	counting = true;
	for (unsigned int i = 0; i < array_size(memory); i++)
		memory[i] = i ? calloc(1, i) : malloc(1);
	counting = false;
	check_eq(counted, array_size(memory));
	for (unsigned int i = 0; i < array_size(memory); i++)
		free(memory[i]);
	counted = 0;
	on_each_kind(allocations);
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_first_is_served_first),
		cmocka_unit_test(one_that_is_let_pass_lets_no_other_pass),
		cmocka_unit_test(a_wait_ended_early_leaves_the_others_as_they_were),
		cmocka_unit_test(who_was_served_is_neither_timed_out_nor_cancelled),
		cmocka_unit_test(a_wait_ends_at_its_deadline_not_before),
		cmocka_unit_test(to_try_is_not_to_wait),
		cmocka_unit_test(what_is_waited_for_is_not_destroyed),
		cmocka_unit_test(a_fiber_with_its_own_control_words_is_told_too),
		cmocka_unit_test(another_core_is_refused),
		cmocka_unit_test(outside_a_fiber_is_refused),
		cmocka_unit_test(nothing_allocates),
	};

	return run_program(argc, argv, "sync", tests, array_size(tests));
}
