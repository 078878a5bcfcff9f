/* SPDX-License-Identifier: MIT */
/* Floating point's rounding mode, by the words that a switch of fibers keeps. */
#ifndef PIRN_TESTS_ROUNDING_H
#define PIRN_TESTS_ROUNDING_H

#include "helpers.h"
#include "switch.h"

/* Sets the mode to round up, whatever it was. */
static inline void round_up(void)
{
	struct pirn_fp fp;

	pirn_fp_save(&fp);
#if defined(__x86_64__)
	fp.control = (fp.control & ~0x6000u) | 0x4000u;
	fp.x87 = (fp.x87 & ~0xc00u) | 0x800u;
#else
	fp.control = (fp.control & ~0xc00000u) | 0x400000u;
#endif
	pirn_fp_load(&fp);
}

static inline bool rounds_up(void)
{
	volatile double one = 1, tiny = 1e-30;
	volatile long double wide_one = 1, wide_tiny = 1e-40L;
	bool up = one + tiny > one;

	/* both units of x86-64; software on aarch64, by the same mode */
	check_eq(wide_one + wide_tiny > wide_one, up);
	return up;
}

#endif /* PIRN_TESTS_ROUNDING_H */
