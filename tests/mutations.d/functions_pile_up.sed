# SPDX-License-Identifier: MIT
# ThreadSanitizer is left with the functions of every fiber that ended.
# file: lib/sanitizer.h
# test: thread reports/many*
s/^#define san_never_returns __attribute__((noinline, no_sanitize("thread")))/#define san_never_returns/
