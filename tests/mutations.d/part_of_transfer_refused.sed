# SPDX-License-Identifier: MIT
# A transfer is refused between its parts.
# file: lib/io.c
# test: native cancel/a_transfer_in_parts*
/^transfer_rest/,/^}/s/op_run(core, op, false)/op_run(core, op, true)/
