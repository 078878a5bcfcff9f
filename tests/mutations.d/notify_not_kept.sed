# SPDX-License-Identifier: MIT
# A NOTIFY that finds nobody asleep is lost.
# file: kmod/wait.c
# test: direct wait/a_notify_is_kept*
/^void pirn_notify/,/^}/s/ch->notified = true;/;/
