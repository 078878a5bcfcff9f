# SPDX-License-Identifier: MIT
# Whatever the device says, all was transferred.
# file: lib/io.c
# test: native io_edges/reads_end*
/^static inlined int op_run/,/^}/s/return op->result;/return op->kind == PIRN_IO_FSYNC ? 0 : (int)op->bytes;/
