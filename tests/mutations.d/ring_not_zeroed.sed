# SPDX-License-Identifier: MIT
# New rings hold what the pages held before.
# file: kmod/channel.c
# test: direct rights/rings_show*
/^static int pirn_ring_alloc/,/^}/s/__GFP_ZERO | //
