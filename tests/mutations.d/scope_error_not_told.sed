# SPDX-License-Identifier: MIT
# An error of a fiber does not end the others of its scope.
# file: lib/scope.c
# test: native scope/the_first_error*
/^void pirn_scope_member_ended/,/^}/s/pirn_scope_fail(core, scope,/if (0) pirn_scope_fail(core, scope,/
