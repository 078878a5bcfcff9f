# SPDX-License-Identifier: MIT
# A range that begins in a pool may end behind it.
# file: lib/io.c
# test: native io_edges/only_io*
/^static inlined int op_memory/,/^}/s/unlikely(bytes > core->pool.bytes - offset)/0/
