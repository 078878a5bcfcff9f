# SPDX-License-Identifier: MIT
# A call whose fiber the end of the runtime drops is not answered.
# file: lib/door.c
# test: native foreign/a_runtime_ends*
/^void pirn_door_close/,/^}/s/while ((call = inlet->calls))/while (0 \&\& (call = inlet->calls))/
