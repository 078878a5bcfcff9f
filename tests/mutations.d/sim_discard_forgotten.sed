# SPDX-License-Identifier: MIT
# A crash forgets what was durably discarded.
# file: lib/sim_crash.c
# test: native sim_space/a_crash_does*
s/slot->vague = slot->durable_vague;/slot->vague = 0;/
