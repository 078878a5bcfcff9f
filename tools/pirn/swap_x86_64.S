/* SPDX-License-Identifier: MIT */
/*
 * The yardstick of pirn bench for one core: the least that a switch between two
 * stacks can be under this ABI when nothing is known about the code on them.
 * Independent of the library's own switch on purpose.
 *
 * void bench_swap(void **save, void *load)
 *
 * Saves the six callee-saved registers on the stack and its pointer in *save;
 * goes on at the stack pointer @load.  Ends in a jmp: a ret would be predicted
 * to return to this stack's caller, and be wrong each time.
 */
	.text
	.globl	bench_swap
	.type	bench_swap, @function
	.p2align 6
bench_swap:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	popq	%rcx
	jmp	*%rcx
	.size	bench_swap, . - bench_swap

	.section .note.GNU-stack, "", @progbits
