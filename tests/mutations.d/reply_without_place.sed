# SPDX-License-Identifier: MIT
# A reply does not look whether there is room: a message not yet taken is
# overwritten.
# file: lib/mailbox.c
# test: native message/full_queues_with_one*
/^void pirn_call_reply/,/^}/s/if (likely(!out->replies \&\& has_room(core, out)))/if (1)/
