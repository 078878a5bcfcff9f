# SPDX-License-Identifier: MIT
# A timer goes to the bucket beside its own.
# file: lib/timer.c
# test: native time/sleepers_wake*
/^static uint32_t bucket_of/,/^}/s/return 64 - /return 63 - /
