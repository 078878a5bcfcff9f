# SPDX-License-Identifier: MIT
# Ops in flight take no place in the CQ.
# file: kmod/enter.c
# test: direct channel/ops_in_flight*
/^static void pirn_reserve/,/^}/s/head, ch->in_flight,/head, 0,/
