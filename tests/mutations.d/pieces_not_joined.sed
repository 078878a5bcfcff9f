# SPDX-License-Identifier: MIT
# Freed memory is not joined to larger pieces.
# file: lib/pool.c
# test: native buffer/freed_pieces*
/^static int release/,/^}/s/order < MAX_ORDER; order++/0; order++/
