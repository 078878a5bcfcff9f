# SPDX-License-Identifier: MIT
# A member the device has no room for stays in the queue, where nobody may look again.
# file: kmod/submit.c
# test: direct join/members_do_not*
s/if (!op->join && pirn_only_target_busy(op))/if (pirn_only_target_busy(op))/
