# SPDX-License-Identifier: MIT
# The credit of an op that fails is never given back.
# file: kmod/complete.c
# test: torture faults
s/last = !--ch->in_flight/last = !(ch->in_flight -= res >= 0)/
