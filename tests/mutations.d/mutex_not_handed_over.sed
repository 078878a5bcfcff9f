# SPDX-License-Identifier: MIT
# An unlocked mutex is free when its waiter is woken: who comes first has it.
# file: lib/sync_lock.c
# test: native sync_lock/only_its_owner*
/^static inline void mutex_hand_over/,/^}/s/mutex->owner = first->fiber;/mutex->owner = NULL;/
