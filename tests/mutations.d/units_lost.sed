# SPDX-License-Identifier: MIT
# The units of a waiter that is served are taken twice: once now, once by it.
# file: lib/sync_count.c
# test: native sync_model
/^static inline void semaphore_serve/,/^}/s/semaphore->units -= first->amount;/semaphore->units -= 2 * first->amount;/
