/* SPDX-License-Identifier: MIT */
/*
 * The yardstick of pirn bench switch, see swap_x86_64.S: the registers that a
 * callee must keep here, x19 to x29 and d8 to d15, and the return address.
 */
	.text
	.globl	bench_swap
	.type	bench_swap, %function
	.p2align 6
bench_swap:
	sub	sp, sp, #160
	stp	d8, d9, [sp, #0]
	stp	d10, d11, [sp, #16]
	stp	d12, d13, [sp, #32]
	stp	d14, d15, [sp, #48]
	stp	x19, x20, [sp, #64]
	stp	x21, x22, [sp, #80]
	stp	x23, x24, [sp, #96]
	stp	x25, x26, [sp, #112]
	stp	x27, x28, [sp, #128]
	stp	x29, x30, [sp, #144]
	mov	x2, sp
	str	x2, [x0]
	mov	sp, x1
	ldp	d8, d9, [sp, #0]
	ldp	d10, d11, [sp, #16]
	ldp	d12, d13, [sp, #32]
	ldp	d14, d15, [sp, #48]
	ldp	x19, x20, [sp, #64]
	ldp	x21, x22, [sp, #80]
	ldp	x23, x24, [sp, #96]
	ldp	x25, x26, [sp, #112]
	ldp	x27, x28, [sp, #128]
	ldp	x29, x30, [sp, #144]
	add	sp, sp, #160
	br	x30
	.size	bench_swap, . - bench_swap

	.section .note.GNU-stack, "", %progbits
