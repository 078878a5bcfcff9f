# SPDX-License-Identifier: MIT
# A call that is still in an inlet at the end is not answered.
# file: lib/door.c
# test: native foreign/calls_not_taken*
/^void pirn_door_close/,/^}/s/while ((slot = inlet_full_slot(inlet)))/while (0 \&\& (slot = inlet_full_slot(inlet)))/
