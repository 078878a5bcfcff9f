# SPDX-License-Identifier: MIT
# Cached pages of the device are not looked for.
# file: kmod/block.c
# test: kmod io/coherent*
/^static bool pirn_cached/,/^}/s/return unlikely(READ_ONCE(mapping->nrpages))/return 0/
