# SPDX-License-Identifier: MIT
# Whoever had SIGSEGV before does not get it.
# file: lib/overflow.c
# test: native reports/the_handler_before_gets*
/^static void pass_on/,/^}/s/was = before/was = { .sa_handler = SIG_DFL }/
