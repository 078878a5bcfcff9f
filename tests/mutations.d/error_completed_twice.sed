# SPDX-License-Identifier: MIT
# An op that fails ends twice.
# file: kmod/block.c
# test: torture faults
/^static noinline void pirn_bio_failed/,/^}/s/pirn_complete(op, err);/pirn_complete(op, err), pirn_complete(op, err);/
