# SPDX-License-Identifier: MIT
# Commits are answered when the log is written, not when it is durable.
# file: tools/wal/log.c
# test: native wal_sim/no_fault*
s/unsigned int flags = s->no_flush.*/unsigned int flags = 0;/
