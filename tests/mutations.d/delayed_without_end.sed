# SPDX-License-Identifier: MIT
# A sender does not look whether its posts are begun: one that is kept is
# overwritten.
# file: lib/message.c
# test: native message_post/posts_without*
/^static bool has_delay_place/,/^}/s/if (likely(.*))$/if (1)/
