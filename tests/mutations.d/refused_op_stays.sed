# SPDX-License-Identifier: MIT
# An op that waited for room stays in the list when its scope ends.
# file: lib/io.c
# test: native cancel/an_op_that_waits*
/^void pirn_op_pending_left/,/^}/s/w->op->refused = true;/&\n\tpirn_waiters_add(\&core->pending, wait);/
