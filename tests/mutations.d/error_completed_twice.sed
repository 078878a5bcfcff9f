# SPDX-License-Identifier: MIT
# An op that fails ends twice.
# file: kmod/block.c
# test: torture faults
/^static void pirn_bio_end_io/,/^}/s/pirn_complete(op, err);/pirn_complete(op, err), pirn_complete(op, err);/
