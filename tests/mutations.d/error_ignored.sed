# SPDX-License-Identifier: MIT
# A bio that failed completes as if nothing had happened.
# file: kmod/block.c
# test: kmod io_errors/a_bad_block*
/^static noinline void pirn_bio_failed/,/^}/s/err = blk_status_to_errno(bio->bi_status);/err = 0;/
