# SPDX-License-Identifier: MIT
# Ops under way are not counted.
# file: lib/io.c
# test: native io_edges/close_refuses*
/^static inlined int op_run/,/^}/s/on->busy++;/on->busy += 0;/;/^static inlined int op_run/,/^}/s/on->busy--;/on->busy += 0;/
