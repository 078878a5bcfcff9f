# SPDX-License-Identifier: MIT
# No look at the mailboxes after sleep was announced, the same as announcing it
# after the last look: what a missing barrier may come to, made wide.
# file: lib/host.c
# test: native message/a_call_that_races*
/^static bool work_came/,/^}/s/ || pirn_messages_ready(core) ||$/ ||/
