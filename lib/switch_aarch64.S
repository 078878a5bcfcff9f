/* SPDX-License-Identifier: MIT */
/*
 * Saving and restoring registers, nothing else.
 *
 * x19 to x30, d8 to d15 and the stack pointer belong to a fiber; fpcr belongs to
 * the core.  The switch ends in a br, not a ret, which the return predictor
 * would send to the caller of the fiber that went away.  A br may only land on
 * a bti instruction where the program asks for branch target identification,
 * and no call site has one after it: there it is a ret, and a slow one.
 *
 * The return address lies on the stack as it is, unsigned, so this object does
 * not carry the property of pointer authentication.
 */

#if defined(__ARM_FEATURE_BTI_DEFAULT) && __ARM_FEATURE_BTI_DEFAULT
#define LANDING	bti	c
#define LEAVE	ret
#else
#define LANDING
#define LEAVE	br	x30
#endif

	.text

/* int pirn_switch(void **save_sp, void *load_sp, int woken): @woken, there */
	.globl	pirn_switch
	.hidden	pirn_switch
	.type	pirn_switch, %function
	.p2align 4
pirn_switch:
	.cfi_startproc
	LANDING
	stp	x29, x30, [sp, #-160]!
	.cfi_def_cfa_offset 160
	.cfi_offset x29, -160
	.cfi_offset x30, -152
	stp	x19, x20, [sp, #16]
	.cfi_offset x19, -144
	.cfi_offset x20, -136
	stp	x21, x22, [sp, #32]
	.cfi_offset x21, -128
	.cfi_offset x22, -120
	stp	x23, x24, [sp, #48]
	.cfi_offset x23, -112
	.cfi_offset x24, -104
	stp	x25, x26, [sp, #64]
	.cfi_offset x25, -96
	.cfi_offset x26, -88
	stp	x27, x28, [sp, #80]
	.cfi_offset x27, -80
	.cfi_offset x28, -72
	stp	d8, d9, [sp, #96]
	.cfi_offset d8, -64
	.cfi_offset d9, -56
	stp	d10, d11, [sp, #112]
	.cfi_offset d10, -48
	.cfi_offset d11, -40
	stp	d12, d13, [sp, #128]
	.cfi_offset d12, -32
	.cfi_offset d13, -24
	stp	d14, d15, [sp, #144]
	.cfi_offset d14, -16
	.cfi_offset d15, -8
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	mov	w0, w2
	ldp	x29, x30, [sp], #160
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	LEAVE
	.cfi_endproc
	.size	pirn_switch, . - pirn_switch

/*
 * Where the first switch to a fiber lands: x19 is the function to call with
 * x20, which never returns.  x30 is undefined here: a backtrace ends.  No bti:
 * where those are, pirn_switch comes here by a ret.
 */
	.globl	pirn_fiber_start
	.hidden	pirn_fiber_start
	.type	pirn_fiber_start, %function
	.p2align 4
pirn_fiber_start:
	.cfi_startproc
	.cfi_undefined x30
	mov	x29, #0
	mov	x30, #0
	mov	x0, x20
	blr	x19
	brk	#1
	.cfi_endproc
	.size	pirn_fiber_start, . - pirn_fiber_start

#if defined(__ARM_FEATURE_BTI_DEFAULT) && __ARM_FEATURE_BTI_DEFAULT
	.section .note.gnu.property, "a", %note
	.p2align 3
	.word	4			/* bytes of the name, of what follows it */
	.word	16
	.word	5			/* NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.word	0xc0000000		/* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
	.word	4
	.word	1			/* branch target identification */
	.word	0
#endif
	.section .note.GNU-stack, "", %progbits
