# SPDX-License-Identifier: MIT
# An idle core has no turn when its next timer is due.
# file: lib/sim_core.c
# test: native sim_world/idle_time*
/^static uint64_t idle/,/^}/s/uint64_t deadline = core->timers.next;/uint64_t deadline = UINT64_MAX;/
