# SPDX-License-Identifier: MIT
# A post that ends does not make room in the window.
# file: lib/message.c
# test: native message_post/the_window*
/^void pirn_served/,/^}/s/memory_order_relaxed) + 1,/memory_order_relaxed),/
