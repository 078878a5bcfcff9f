# SPDX-License-Identifier: MIT
# A range that begins in a pool may end behind it.
# file: lib/io.c
# test: native io_edges/only_io*
/^op_memory_attach/,/^}/s/if (!pool || bytes > pool->bytes - offset)/if (!pool)/
