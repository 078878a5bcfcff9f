# SPDX-License-Identifier: MIT
# A shielded section is refused its calls.
# file: lib/scope.c
# test: native deadline/a_shielded_section*
/^int pirn_wait_refused/,/^}/s/ || fiber->shield//
