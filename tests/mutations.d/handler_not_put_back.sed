# SPDX-License-Identifier: MIT
# The handler of SIGSEGV stays when no runtime needs it.
# file: lib/overflow.c
# test: native reports/the_handler_before_is*
/^void pirn_overflow_stop/,/^}/s/sigaction(SIGSEGV, &before, NULL);/(void)before;/
