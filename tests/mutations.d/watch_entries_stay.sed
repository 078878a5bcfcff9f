# SPDX-License-Identifier: MIT
# The entries in the watched file's wait queues are left there.
# file: kmod/wait.c
# test: direct watch/nothing_is_kept*
s/^\tpoll_freewait(&watch.table);$//
