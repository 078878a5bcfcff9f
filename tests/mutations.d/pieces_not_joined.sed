# SPDX-License-Identifier: MIT
# Freed memory is not joined to larger pieces.
# file: lib/pool.c
# test: native buffer/freed_pieces*
/^int pirn_pool_release/,/^}/s/order < MAX_ORDER; order++/0; order++/
