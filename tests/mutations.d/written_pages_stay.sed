# SPDX-License-Identifier: MIT
# Pages that come while a write is under way stay.
# file: kmod/block.c
# test: direct sqe/pages_that_come*
/^static noinline void pirn_bio_written/,/^}/s/op->code == PIRN_OP_WRITE && pirn_cached(op)/0/
