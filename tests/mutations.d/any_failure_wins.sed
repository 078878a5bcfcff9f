# SPDX-License-Identifier: MIT
# The first read to end is taken, whatever its result.
# file: lib/give.c
# test: native any/losers*
s/if (any->winner < 0 \&\& give->op.result >= 0)/if (any->winner < 0)/
