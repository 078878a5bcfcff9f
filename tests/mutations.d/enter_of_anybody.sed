# SPDX-License-Identifier: MIT
# A channel serves every process that has its fd.
# file: kmod/enter.c
# test: direct rights/who_is_handed_a_channel*
/^static noinline int pirn_bind/,/^}/s/if (ch->mm)/if (0)/
