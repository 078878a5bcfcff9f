# SPDX-License-Identifier: MIT
# An op's time begins anew when it ends.
# file: lib/times.c
# test: native core_times/quantiles*
s/note(core, PIRN_TIME_ALL, op->asked,/note(core, PIRN_TIME_ALL, pirn_core_time(core) + 0 * op->asked,/
