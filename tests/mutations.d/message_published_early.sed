# SPDX-License-Identifier: MIT
# The release of a message's sequence word, (A): x86 keeps the order of stores
# all the same, so only ThreadSanitizer can see it.
# file: lib/message.c
# test: thread message/memory_is_visible*
/^static void send(/,/^}/s/memory_order_release/memory_order_relaxed/
