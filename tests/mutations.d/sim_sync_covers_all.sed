# SPDX-License-Identifier: MIT
# A sync makes durable what completed while it was under way.
# file: lib/sim_crash.c
# test: native sim_crash/a_sync_covers*
s/if (!record->done || record->done > done)/if (!record->done || !done)/
