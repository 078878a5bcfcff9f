# SPDX-License-Identifier: MIT
# A request that comes takes what there is though others wait for more.
# file: lib/sync_count.c
# test: native sync_count/a_large_request_is_not*
/^int pirn_semaphore_wait_until/,/^}/s/semaphore->waiters.first/0/
