# SPDX-License-Identifier: MIT
# A shielded wait is ended early.
# file: lib/scope.c
# test: native deadline/a_shielded_wait*
/^static void tell/,/^}/s/ || fiber->shield//
