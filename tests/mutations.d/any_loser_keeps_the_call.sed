# SPDX-License-Identifier: MIT
# A read given up still tells the call, whose stack is gone.
# file: lib/give.c
# test: native any/losers*
/^static void any_settle/,/^}/s/give->any = NULL;//
