# SPDX-License-Identifier: MIT
# The deadline does not go with a call.
# file: lib/message.c
# test: native deadline/a_deadline_holds*
/^int pirn_call_send/,/^}/s/message->deadline = self->scope->deadline;/message->deadline = PIRN_NEVER;/
