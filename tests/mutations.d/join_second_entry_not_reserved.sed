# SPDX-License-Identifier: MIT
# The CQE at the threshold has no entry of its own.
# file: kmod/join.c
# test: direct join/a_join_waits*
s/if (nr + entries > ch->credits)/if (nr + 1 > ch->credits)/
