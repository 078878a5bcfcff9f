# SPDX-License-Identifier: MIT
# An op's time begins anew when it ends.
# file: lib/times.c
# test: native core_times/quantiles*
s/between(op->asked, pirn_core_time(core))/0 * &/
