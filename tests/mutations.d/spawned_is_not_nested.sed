# SPDX-License-Identifier: MIT
# What a callee spawns is kept back by the window, and the callee waits for it.
# file: lib/fiber.c
# test: native message_post/calls_nest_through*
/^int pirn_fiber_make/,/^}/s/fiber->nested = core->current->nested;/fiber->nested = false;/
