# SPDX-License-Identifier: MIT
# What was discarded is read as it was.
# file: lib/sim_data.c
# test: native sim_space/what_was_discarded*
s/if (unlikely(slot \&\& slot->vague))/if (0)/
