# SPDX-License-Identifier: MIT
# A yield that lets nobody run: the figures would be wonderful.
# file: lib/fiber.c
# test: native bench/switch_says*
/^int pirn_yield/,/^}/s/pirn_fiber_ready_as(core, core->current, PIRN_CAME_YIELDED);/return 0;/
