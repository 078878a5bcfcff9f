# SPDX-License-Identifier: MIT
# The end of a scope does not follow a call.
# file: lib/scope.c
# test: native cancel_call/cancelling_follows*
/^static void tell/,/^}/s/pirn_call_cancel(core, call, scope->error);/(void)call;/
