/* SPDX-License-Identifier: MIT */
/*
 * Whether a call keeps what a callee must keep, floating point included where
 * the machine's rules do.
 */
#ifndef PIRN_TESTS_REGISTERS_H
#define PIRN_TESTS_REGISTERS_H

#include <stdint.h>

/*
 * Puts @seed and the numbers after it in every register a callee must keep, and
 * calls fn(arg); returns how many of them came back changed.
 */
uint64_t registers_lost(uint64_t seed, void (*fn)(void *arg), void *arg);

#if defined(__x86_64__)
#define REGISTERS_KEPT 6
__asm__(".text\n"
	".globl registers_lost\n"
	".type registers_lost, @function\n"
	"registers_lost:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	push %rdi\n"
	"	lea 0(%rdi), %rbx\n"
	"	lea 1(%rdi), %rbp\n"
	"	lea 2(%rdi), %r12\n"
	"	lea 3(%rdi), %r13\n"
	"	lea 4(%rdi), %r14\n"
	"	lea 5(%rdi), %r15\n"
	"	mov %rdx, %rdi\n"
	"	call *%rsi\n"
	"	pop %rdi\n"
	"	xor %eax, %eax\n"
	"	xor %ecx, %ecx\n"
	"	cmp %rdi, %rbx\n	setne %cl\n	add %rcx, %rax\n"
	"	inc %rdi\n"
	"	cmp %rdi, %rbp\n	setne %cl\n	add %rcx, %rax\n"
	"	inc %rdi\n"
	"	cmp %rdi, %r12\n	setne %cl\n	add %rcx, %rax\n"
	"	inc %rdi\n"
	"	cmp %rdi, %r13\n	setne %cl\n	add %rcx, %rax\n"
	"	inc %rdi\n"
	"	cmp %rdi, %r14\n	setne %cl\n	add %rcx, %rax\n"
	"	inc %rdi\n"
	"	cmp %rdi, %r15\n	setne %cl\n	add %rcx, %rax\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n"
	".size registers_lost, . - registers_lost\n");
#else
/* x19 to x28, the frame pointer x29, d8 to d15 */
#define REGISTERS_KEPT 19
__asm__(".text\n"
	".globl registers_lost\n"
	".type registers_lost, %function\n"
	"registers_lost:\n"
	"	hint #34\n"	/* bti c */
	"	stp x29, x30, [sp, #-176]!\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	str x0, [sp, #160]\n"
	".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
	"	add x\\n, x0, #(\\n - 19)\n"
	".endr\n"
	".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	add x3, x0, #(\\n + 3)\n"
	"	fmov d\\n, x3\n"
	".endr\n"
	"	mov x0, x2\n"
	"	blr x1\n"
	"	ldr x1, [sp, #160]\n"
	"	mov x0, #0\n"
	".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
	"	add x3, x1, #(\\n - 19)\n"
	"	cmp x3, x\\n\n"
	"	cinc x0, x0, ne\n"
	".endr\n"
	".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	add x3, x1, #(\\n + 3)\n"
	"	fmov x4, d\\n\n"
	"	cmp x3, x4\n"
	"	cinc x0, x0, ne\n"
	".endr\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	ldp x29, x30, [sp], #176\n"
	"	ret\n"
	".size registers_lost, . - registers_lost\n");
#endif

#endif /* PIRN_TESTS_REGISTERS_H */
