# SPDX-License-Identifier: MIT
# A cleanup handler is refused its calls.
# file: lib/cleanup.c
# test: native shutdown/handlers_are*
/^static void run_last/,/^}/s/fiber->shield++;/;/;/^static void run_last/,/^}/s/fiber->shield--;/;/
