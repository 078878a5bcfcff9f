# SPDX-License-Identifier: MIT
# A bio that failed counts as done: the early return in the completion.
# file: kmod/block.c
# test: kmod io_errors/a_bad_block*
/^static void pirn_bio_end_io/,/^}/s/if (likely(!bio->bi_status))/if (bio)/
