# SPDX-License-Identifier: MIT
# Who waits for room in a port that is closed waits for ever.
# file: lib/port.c
# test: native port/close_ends*
/^static void close_port/,/^}/s/while (port->senders)/while (0)/
