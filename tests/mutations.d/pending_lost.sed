# SPDX-License-Identifier: MIT
# Of the ops that found no room only the first is tried again.
# file: lib/io.c
# test: native io/two_thousand*batch_8
/^void pirn_ops_queue_pending/,/^}/s/pirn_waiters_remove(wait);/core->pending = (struct pirn_waiters){ NULL, NULL };/
