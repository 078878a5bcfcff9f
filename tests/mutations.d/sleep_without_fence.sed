# SPDX-License-Identifier: MIT
# The barrier between announcing sleep and the second look, (D) in host.c. A
# store-load pair, which x86 does reorder; see no_second_look for what comes of it.
# chance: a window of some ns; model_sleep_without_fence is caught each time
# file: lib/host.c
# test: native message/a_call_that_races*
/^static void sleep_unless/,/^}/s/^\tpirn_full_fence();$//
