# SPDX-License-Identifier: MIT
# An op that leaves the worker wakes nobody who waits.
# file: kmod/worker.c
# test: kunit pirn_worker
/^static void pirn_worker_next/,/^}/s/	if (next)$/	if (next \&\& 0)/
