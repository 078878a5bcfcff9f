# SPDX-License-Identifier: MIT
# Pages that come while the device's own code writes stay.
# file: kmod/file.c
# test: direct sqe/pages_that_come*
/^static void pirn_file_end/,/^}/s/ret > 0 && op->code == PIRN_OP_WRITE/0/
