# SPDX-License-Identifier: MIT
# The release of a message's sequence word, (A): x86 keeps the order of stores
# all the same, so only ThreadSanitizer can see it.
# file: lib/mailbox.c
# test: thread message/memory_is_visible*
/^void pirn_mailbox_send(/,/^}/s/memory_order_release/memory_order_relaxed/
