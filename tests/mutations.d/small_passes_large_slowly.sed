# SPDX-License-Identifier: MIT
# The same in the long way, which is taken whenever somebody waits.
# file: lib/sync_count.c
# test: native sync_count/a_large_request_is_not*
/^static pirn_slow int semaphore_wait/,/^}/s/ && !semaphore->waiters.first//
