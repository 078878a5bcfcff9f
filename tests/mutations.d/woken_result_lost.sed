# SPDX-License-Identifier: MIT
# The switch does not bring the result of a wait.
# file: lib/schedule.h
# test: native sync/a_wait_ended_early*
s/return pirn_switch(&from->sp, to->sp, to->woken);/return pirn_switch(\&from->sp, to->sp, 0);/
