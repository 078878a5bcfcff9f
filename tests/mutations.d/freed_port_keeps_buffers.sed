# SPDX-License-Identifier: MIT
# Buffers in a port that is freed are lost to their pool.
# file: lib/port.c
# test: native port/buffers_change*
/^int pirn_port_free/,/^}/s/while (port->type \& BUFFERS \&\& port->count)/while (0)/
