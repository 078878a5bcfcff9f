# SPDX-License-Identifier: MIT
# Of several errors the highest core's is returned.
# file: lib/gather.c
# test: native message_all/a_call_on_all_cores_gathers
/^static void leg_settle/,/^}/s/error < 0 \&\& !part->error/error < 0/
