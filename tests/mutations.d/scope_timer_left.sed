# SPDX-License-Identifier: MIT
# The timer of a scope that ended stays armed.
# file: lib/scope.c
# test: native deadline/nothing_remembers*
/^void pirn_scope_exit/,/^}/s/if (pirn_timer_armed(timer_of(scope)))/if (0)/
