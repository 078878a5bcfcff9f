# SPDX-License-Identifier: MIT
# Fibers out of one wait queue are shuffled.
# file: lib/sim_core.c
# test: native sim_order/a_wait_queue*
/^static bool may_pass/,/^}/s/fiber->came_of != earlier->came_of/fiber->came_of != earlier/
