# SPDX-License-Identifier: MIT
# A transfer is refused between its parts.
# file: lib/io.c
# test: native cancel/a_transfer_in_parts*
/^static ssize_t transfer/,/^}/s/op_run(core, op, !done)/op_run(core, op, true)/
