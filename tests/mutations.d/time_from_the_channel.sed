# SPDX-License-Identifier: MIT
# An op's device time begins when the channel does, not with its ENTER.
# file: kmod/submit.c
# test: direct times/*
s/if (unlikely(ch->times))/if (unlikely(ch->times \&\& !ch->began))/
