# SPDX-License-Identifier: MIT
# The runtime's end waits for ops, and does not look where helpers end them.
# file: lib/host.c
# test: aio host_io/the_end_waits*
/^static void drain/,/^}/s/^\t\tpirn_foreign_receive(core);$//
