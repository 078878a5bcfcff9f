# SPDX-License-Identifier: MIT
# The barrier between announcing sleep and the second look, (D) in message.c. A
# store-load pair: really reordered on x86, so that a wake is lost.
# file: lib/reactor.c
# test: native message/a_call_that_races*
/^static void idle/,/^}/s/^\tpirn_full_fence();$//
