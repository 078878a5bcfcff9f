# SPDX-License-Identifier: MIT
# The buffer of a read given up goes back while the disk may write to it.
# file: lib/give.c
# test: native give/at_the_deadline*
/^static void left/,/^}/s/core->stats.orphans++;/pirn_pool_release(\&core->pool, give->buf);\n&/
