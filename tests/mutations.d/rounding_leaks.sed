# SPDX-License-Identifier: MIT
# The control words of one fiber stay when it leaves.
# file: lib/fiber.c
# test: native stack/a_fiber_can*
/^static void fp_leave/,/^}/s/pirn_fp_load(&core->fp);/;/
