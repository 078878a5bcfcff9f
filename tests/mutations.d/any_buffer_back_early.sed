# SPDX-License-Identifier: MIT
# A loser's buffer goes back to the pool while the disk still writes to it.
# file: lib/give.c
# test: native any/losers*
/^static void any_settle/,/^}/s/io->buf = NULL;/pirn_pool_release(\&core->pool, io->buf), io->buf = NULL;/
