# SPDX-License-Identifier: MIT
# The deadline does not go along to the home of a shared object.
# file: lib/shared.c
# test: native sync_shared/a_wait_from*
/^int pirn_shared_semaphore_wait_until/,/^}/s/\.deadline = deadline,/.deadline = deadline ? PIRN_NEVER : 0,/
