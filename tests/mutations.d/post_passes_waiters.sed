# SPDX-License-Identifier: MIT
# Units are added without a look at who waits for them.
# file: lib/sync_count.c
# test: native sync/who_waits_first*
/^int pirn_semaphore_post/,/^}/s/semaphore->waiters.first/0/
