# SPDX-License-Identifier: MIT
# The result of a wait is returned by the next call that parks, too.
# file: lib/schedule.h
# test: native sync/a_wait_ended_early*
/^static inline void pirn_fiber_ready/,/^}/s/	fiber->woken = 0;//
