# SPDX-License-Identifier: MIT
# A scope that ended stays in the list of the one around.
# file: lib/scope.c
# test: native scope_model/random_trees_agree*
/^void pirn_scope_exit/,/^}/s/if (!scope->alone) {/if (!scope->alone \&\& scope->beside_prev) {/
