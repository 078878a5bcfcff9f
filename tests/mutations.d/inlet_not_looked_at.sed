# SPDX-License-Identifier: MIT
# No look at the inlet after sleep was announced.
# file: lib/host.c
# test: native foreign/threads_call_and_post_while*
/^static bool work_came/,/^}/s/pirn_inlet_ready(core) ||//
