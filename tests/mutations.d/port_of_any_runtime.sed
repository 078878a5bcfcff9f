# SPDX-License-Identifier: MIT
# Handles of ports start alike in each runtime.
# file: lib/port.c
# test: native port_edges/a_handle_of*
s/\.generation = core->first_port/.generation = 1/
