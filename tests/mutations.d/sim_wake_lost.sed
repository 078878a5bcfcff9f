# SPDX-License-Identifier: MIT
# Waking a core does nothing.
# file: lib/sim_core.c
# test: native sim_world/a_wake_takes*
/^void sim_core_wake/,/^}/!{/^static void sim_wake/,/^}/{s/sim_core_wake(sim_core_of(core),/sim_next(\&sim->schedule); (void)((void)sim_core_of(core),/}}
