# SPDX-License-Identifier: MIT
# What was charged for a pool stays charged.
# file: kmod/memory.c
# test: direct pool/what_a_dead*
/^void pirn_uncharge/,/^}/s/atomic_long_sub(nr_pages, /atomic_long_sub(0 * nr_pages, /
