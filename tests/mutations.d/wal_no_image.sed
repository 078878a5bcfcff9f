# SPDX-License-Identifier: MIT
# Pages are not in the log whole: a torn one cannot be redone.
# file: tools/wal/log.c
# test: native wal_sim/no_fault*
s/if (f->logged < s->image_from)/if (!f->logged)/
