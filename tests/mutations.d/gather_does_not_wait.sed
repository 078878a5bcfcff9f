# SPDX-License-Identifier: MIT
# A call on all cores ends before all have.
# file: lib/gather.c
# test: native message_post/a_call_on_all_cores_gathers
/^static int run_part/,/^}/s/if (all.left)/if (all.left > 1)/
