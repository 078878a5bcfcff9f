# SPDX-License-Identifier: MIT
# The barrier between sending and looking who sleeps, (C) in mailbox.c.
# chance: a window of some ns, which most runs do not meet
# file: lib/mailbox.c
# test: native message/a_call_that_races*
/^static void mailbox_flush/,/^}/s/^\t\tpirn_full_fence();$//
