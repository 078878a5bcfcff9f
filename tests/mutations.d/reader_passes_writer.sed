# SPDX-License-Identifier: MIT
# A reader that comes does not wait behind a writer that waits.
# file: lib/sync_lock.c
# test: native sync_lock/readers_share*
/^static inline bool rwlock_open/,/^}/s/!lock->writer && !lock->waiters.first/!lock->writer/
