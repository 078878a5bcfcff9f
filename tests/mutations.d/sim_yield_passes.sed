# SPDX-License-Identifier: MIT
# A fiber that yielded may run before those it yielded to.
# file: lib/sim_core.c
# test: native sim_order/a_yield*
/^static bool may_pass/,/^}/s/return fiber->came == PIRN_CAME ||/return fiber->came != PIRN_CAME_IN_ORDER ||/
