# SPDX-License-Identifier: MIT
# now + a huge time is not checked for overflow.
# file: lib/timer.c
# test: native time/a_huge*
/^int pirn_sleep(/,/^}/s/deadline = UINT64_MAX;/deadline += 0;/
