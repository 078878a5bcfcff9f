# SPDX-License-Identifier: MIT
# A sender whose deadline came leaves its record in the port's queue.
# file: lib/port.c
# test: native port_edges/deadlines_of*
/^static int send_far/,/^}/s/pirn_call_inline(core, send->to.core, withdraw, send);/(void)withdraw;/
