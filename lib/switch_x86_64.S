/* SPDX-License-Identifier: MIT */
/*
 * Saving and restoring registers, nothing else.
 *
 * The six callee-saved registers and the stack pointer belong to a fiber; mxcsr
 * and the x87 control word belong to the core.  The switch ends in a jmp, not a
 * ret: the return predictor would guess the caller's caller of the fiber that
 * went away, and be wrong every time.
 */

	.text

/* int pirn_switch(void **save_sp, void *load_sp, int woken): @woken, there */
	.globl	pirn_switch
	.hidden	pirn_switch
	.type	pirn_switch, @function
	.p2align 4
pirn_switch:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	movl	%edx, %eax
	jmp	*%rcx
	.cfi_endproc
	.size	pirn_switch, . - pirn_switch

/*
 * Where the first switch to a fiber lands: rbx is the function to call with
 * r12, which never returns.  rip is undefined here: a backtrace ends.
 */
	.globl	pirn_fiber_start
	.hidden	pirn_fiber_start
	.type	pirn_fiber_start, @function
	.p2align 4
pirn_fiber_start:
	.cfi_startproc
	.cfi_undefined %rip
	xorl	%ebp, %ebp
	movq	%r12, %rdi
	call	*%rbx
	ud2
	.cfi_endproc
	.size	pirn_fiber_start, . - pirn_fiber_start

	.section .note.GNU-stack, "", @progbits
