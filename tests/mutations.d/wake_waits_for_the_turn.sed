# SPDX-License-Identifier: MIT
# A sleeping core is woken for a message only when the turn is over.
# file: lib/mailbox.c
# test: native message_post/a_post_to_a_sleeping*
/^void pirn_mailbox_send/,/^}/s/core->budget = 0;/core->budget += 0;/
