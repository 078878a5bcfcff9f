# SPDX-License-Identifier: MIT
# A CANCEL that waits for room stays in its list when the caller goes on.
# file: lib/mailbox.c
# test: native cancel_call/a_cancel_without_room*
/^void pirn_calls_forget/,/^}/s/if (call->cancel_error)/if (0)/
