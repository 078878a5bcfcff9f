# SPDX-License-Identifier: MIT
# The drained CQE comes with the last member but one.
# file: kmod/join_ops.h
# test: native join_ops/every_order*
s/if (join->ended == join->nr) {/if (join->ended + 1 >= join->nr) {/
