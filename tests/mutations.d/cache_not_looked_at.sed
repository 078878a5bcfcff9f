# SPDX-License-Identifier: MIT
# Cached pages of the device are not looked for.
# file: kmod/pirn.h
# test: kmod io/coherent*
/bool pirn_cached/,/^}/s/return unlikely(READ_ONCE(mapping->nrpages))/return 0/
