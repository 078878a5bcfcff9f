# SPDX-License-Identifier: MIT
# A core without a fiber does not look again whether there is memory.
# file: lib/message.c
# test: native message_post/a_post_waits*
/^void pirn_starve/,/^}/s/pirn_timer_arm(.*);/;/
