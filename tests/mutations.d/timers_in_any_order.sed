# SPDX-License-Identifier: MIT
# The least deadline of a bucket is that of its first timer.
# file: lib/timer.c
# test: native time/sleepers_wake*
/^static void bucket_add/,/^}/s/list->next == list .. timer->when < bucket->least/list->next == list/
