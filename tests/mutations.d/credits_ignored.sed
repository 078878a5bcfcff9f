# SPDX-License-Identifier: MIT
# The same, seen from outside.
# file: kmod/ring_ops.h
# test: direct channel/a_full_cq*
s/__u32 used = in_flight + pirn_ring_unread(tail, head, entries);/__u32 used = in_flight + 0 * pirn_ring_unread(tail, head, entries);/
