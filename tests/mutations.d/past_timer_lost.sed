# SPDX-License-Identifier: MIT
# A timer armed for the past by one that fires is not looked for.
# file: lib/timer.c
# test: native time/a_timer_that*
/^void pirn_timers_expire/,/^}/s/while (past->next != past) {/if (past->next != past) {/
