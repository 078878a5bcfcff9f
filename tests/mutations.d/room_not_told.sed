# SPDX-License-Identifier: MIT
# A thread that waits for room in an inlet is not told of it.
# file: lib/door.c
# test: native foreign/a_full_inlet*
/^void pirn_inlet_receive/,/^}/s/inlet_tell_room(inlet);/(void)inlet;/
