// SPDX-License-Identifier: MIT
/*
 * The switch itself, without a runtime around it: two stacks, no thread, no
 * kernel.  What must run where io_uring does not, under an emulator too.
 */
#include <errno.h>
#include <stdlib.h>
#include <unwind.h>

#include "helpers.h"
#include "registers.h"
#include "sanitizer.h"
#include "switch.h"
#include "rounding.h"

#define STACK_BYTES (64 * KiB)

/* One stack with the record that the switch's glue wants on it, as in stack.c. */
struct side {
	struct pirn_fiber fiber pirn_aligned;
	unsigned int switches;
	uintptr_t entered_at;	/* stack address in its first frame */
};

static struct pirn_fiber here;
static struct side there;
static _Alignas(64) char stack[STACK_BYTES];

/* The tools want to know who leaves and who comes. */
static int to(struct pirn_fiber *from, struct pirn_fiber *next)
{
	int ret;

	san_switch_start(from, next, false);
	ret = pirn_switch(&from->sp, next->sp, 0);
	san_switch_end(from, false, NULL);
	return ret;
}

static void prepare(void (*entry)(struct pirn_fiber *))
{
	memset(&here, 0, sizeof(here));
	memset(&there, 0, sizeof(there));
	there.fiber.stack_low = stack;
	there.fiber.stack_bytes = STACK_BYTES;
	san_thread_start(&here);
	san_stack_fresh(&there.fiber);
	there.fiber.sp = pirn_switch_prepare(stack + STACK_BYTES, entry,
					     &there.fiber);
}

static void go_there(void *arg)
{
	(void)arg;
	check_eq(to(&here, &there.fiber), 0);
}

static void go_here(void *arg)
{
	(void)arg;
	there.switches++;
	check_eq(to(&there.fiber, &here), 0);
}

/* ------------------------------------------------------------- registers */

static void keep_for_ever(struct pirn_fiber *self)
{
	uint64_t seed = 0xfedcba9876543210u;

	san_switch_end(self, true, &here);
	check(self == &there.fiber);
	for (;; seed += 0x9e3779b97f4a7c15u)
		check_eq(registers_lost(seed, go_here, NULL), 0);
}

TEST(every_register_survives)
{
	uint64_t seed = 0x0123456789abcdefu;
	unsigned int i, rounds = 100000;

	prepare(keep_for_ever);
	for (i = 0; i < rounds; i++, seed += 0xd1342543de82ef95u)
		check_eq(registers_lost(seed, go_there, NULL), 0);
	check_eq(there.switches, rounds);
}

/* A call that breaks one: the measure itself sees it. */
static void break_one(void *arg)
{
	(void)arg;
#if defined(__x86_64__)
	__asm__ volatile("not %r14");
#else
	__asm__ volatile("fmov d12, xzr");
#endif
}

TEST(a_lost_register_is_counted)
{
	check_eq(registers_lost(77, break_one, NULL), 1);
}

/* -------------------------------------------------------------- alignment */

/* As deep as the stack is: what is on it stays while the other side runs. */
__attribute__((noinline))
static void look_at_entry(struct pirn_fiber *self, void *frame)
{
	there.entered_at = (uintptr_t)frame;
	check((char *)frame > stack && (char *)frame < stack + STACK_BYTES);
	check(self == &there.fiber);
}

static void note_entry(struct pirn_fiber *self)
{
	/* where the frame would be wrong by 8, an aligned variable is, too */
	_Alignas(16) char aligned[32];

	san_switch_end(self, true, &here);
	memset(aligned, 1, sizeof(aligned));
	__asm__ volatile("" : : "r"(aligned) : "memory");
	check_eq((uintptr_t)aligned % 16, 0);
	look_at_entry(self, __builtin_frame_address(0));
	for (;;)
		go_here(NULL);
}

TEST(a_stack_begins_aligned)
{
	prepare(note_entry);
	go_there(NULL);
	/* the frame pointer of a function is a multiple of 16 on both machines */
	check(there.entered_at);
	check_eq(there.entered_at % 16, 0);
	/* and nothing of the stack is wasted */
	check((uintptr_t)(stack + STACK_BYTES) - there.entered_at <= 256);
}

/* -------------------------------------------------------------- unwinding */

struct trace {
	unsigned int frames;
	uintptr_t pc[32];
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context,
				      void *arg)
{
	struct trace *trace = arg;

	if (!_Unwind_GetIP(context))
		return _URC_NO_REASON;	/* how the end is told */
	if (trace->frames < array_size(trace->pc))
		trace->pc[trace->frames] = (uintptr_t)_Unwind_GetIP(context);
	trace->frames++;
	return _URC_NO_REASON;
}

static struct trace traced;
static _Unwind_Reason_Code trace_end;

__attribute__((noinline))
static void unwind_deep(unsigned int depth)
{
	if (depth)
		unwind_deep(depth - 1);
	else
		trace_end = _Unwind_Backtrace(note_frame, &traced);
	__asm__ volatile("");	/* no tail call */
}

static void unwind_from(struct pirn_fiber *self)
{
	san_switch_end(self, true, &here);
	unwind_deep(5);
	for (;;)
		go_here(NULL);
}

/*
 * Through unwind_deep() six times and unwind_from(), to the start frame, and no
 * further: what a debugger or a profiler sees of a fiber.
 */
TEST(a_backtrace_ends_at_the_start_frame)
{
	uintptr_t start = (uintptr_t)pirn_fiber_start, last;

	prepare(unwind_from);
	go_there(NULL);
	check_eq(trace_end, _URC_END_OF_STACK);
	check_eq(traced.frames, 8);
	last = traced.pc[7];
	check(last > start && last < start + 64);
}

/* --------------------------------------------------------- floating point */

static void round_and_go(struct pirn_fiber *self)
{
	san_switch_end(self, true, &here);
	check(!rounds_up());
	round_up();
	for (;;)
		go_here(NULL);
}

/* The control words are the core's: a switch takes none of them along. */
TEST(rounding_stays_with_the_thread)
{
	struct pirn_fp before, after;

	check(!rounds_up());
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	pirn_fp_save(&before);
	prepare(round_and_go);
	go_there(NULL);
	check(rounds_up());
	pirn_fp_save(&after);
	check(after.control != before.control);
	/* what PIRN_FIBER_FP is made of brings them back */
	pirn_fp_load(&before);
	check(!rounds_up());
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_register_survives),
		cmocka_unit_test(a_lost_register_is_counted),
		cmocka_unit_test(a_stack_begins_aligned),
		cmocka_unit_test(a_backtrace_ends_at_the_start_frame),
		cmocka_unit_test(rounding_stays_with_the_thread),
	};

	return run_program(argc, argv, "switch", tests, array_size(tests));
}
