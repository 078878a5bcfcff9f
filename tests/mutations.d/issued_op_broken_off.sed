# SPDX-License-Identifier: MIT
# An op is taken for not issued after it was.
# file: lib/io.c
# test: native cancel/what_was_issued*
/^void pirn_ops_queue_pending/,/^}/s/op->fiber->wait = NULL;/op->fiber->next = NULL;/
