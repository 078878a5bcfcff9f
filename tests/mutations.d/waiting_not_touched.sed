# SPDX-License-Identifier: MIT
# The end of a turn does not look at a mailbox in which somebody waits.
# file: lib/mailbox.c
# test: native message_post/a_wait_for_room*
/^int pirn_mailbox_wait/,/^}/s/pirn_mailbox_touch(.*);/;/
