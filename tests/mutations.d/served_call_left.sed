# SPDX-License-Identifier: MIT
# The name of a call that has ended stays in the table.
# file: lib/scope_call.c
# test: native cancel_call/a_cancel_that_crosses*
/^void pirn_scope_serve_ended/,/^}/s/\*bucket_of(core, fiber->call) = fiber->scope_next;/*bucket_of(core, fiber->call) = fiber;/
