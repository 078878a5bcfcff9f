# SPDX-License-Identifier: MIT
# A condition's wait that ended early returns without the mutex.
# file: lib/sync_lock.c
# test: native sync_lock/a_condition_wait_returns*
/^int pirn_condition_wait_until/,/^}/s/	mutex_take_back(core, mutex);/	if (!err)\n		mutex_take_back(core, mutex);/
