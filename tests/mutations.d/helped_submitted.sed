# SPDX-License-Identifier: MIT
# Ops that helper threads do are counted as SQEs for the next ENTER.
# file: lib/kmod.c
# test: kmod host_io/a_batch*
/^static void kmod_enter/,/^}/s/^\t\tcore->queued -= k->jobs.count;$//
