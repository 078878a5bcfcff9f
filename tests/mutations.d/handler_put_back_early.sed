# SPDX-License-Identifier: MIT
# The first runtime that ends takes the handler from the others.
# file: lib/overflow.c
# test: native reports/the_handler_before_is*
/^void pirn_overflow_stop/,/^}/s/if (!--users \&\&/if (users-- \&\&/
