# SPDX-License-Identifier: MIT
# Who waits last is served first.
# file: lib/sync_lock.c
# test: native sync/who_waits_first*
/^static inline void mutex_hand_over/,/^}/s/mutex->waiters.first;/mutex->waiters.last;/
