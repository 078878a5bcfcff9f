# SPDX-License-Identifier: MIT
# Taking the mutex back can be ended early.
# file: lib/sync_lock.c
# test: native sync_lock/a_condition_wait_returns*
/^static void mutex_take_back/,/^}/s/while (unlikely(mutex->owner != core->current))/while (0)/
