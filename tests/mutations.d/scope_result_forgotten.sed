# SPDX-License-Identifier: MIT
# An error of a fiber is not what the end of its scope returns.
# file: lib/scope.c
# test: native scope/end_returns*
/^void pirn_scope_member_ended/,/^}/s/scope->result = fiber->result;/scope->result = 0 * fiber->result;/
