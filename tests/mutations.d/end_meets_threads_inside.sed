# SPDX-License-Identifier: MIT
# The end of a runtime does not wait for threads that touch it.
# chance: such a thread must be stopped between two instructions
# file: lib/door.c
# test: thread foreign/a_runtime_ends*
/^void pirn_door_close/,/^}/s/while (state != CLOSED)/while (0)/
