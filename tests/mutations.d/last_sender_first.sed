# SPDX-License-Identifier: MIT
# Of the senders that wait, the last to come gets in first.
# file: lib/port.c
# test: native port/waiting_senders*
/^static void take/,/^}/s/= port->senders;/= port->senders_last;/
