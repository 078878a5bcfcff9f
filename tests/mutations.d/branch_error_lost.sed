# SPDX-License-Identifier: MIT
# What failed on a core that was called by another than the first is not told.
# file: lib/gather.c
# test: native message_all/a_call_on_many*
/^static void leg_settle/,/^}/s/error = leg->part.error;/error = 0;/
