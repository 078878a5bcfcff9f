# SPDX-License-Identifier: MIT
# The release of an inlet slot's sequence word, (A): only ThreadSanitizer sees it
# on x86.
# file: lib/door.c
# test: thread foreign/threads_call_and_post_while*
/^static int push/,/^}/s/2 \* lap + 1, memory_order_release/2 * lap + 1, memory_order_relaxed/
