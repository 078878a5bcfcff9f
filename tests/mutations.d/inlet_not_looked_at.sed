# SPDX-License-Identifier: MIT
# No look at the inlet after sleep was announced.
# file: lib/host.c
# test: native foreign/a_post_that_races*
/^static bool work_came/,/^}/s/pirn_inlet_ready(core) ||//
