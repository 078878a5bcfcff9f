# SPDX-License-Identifier: MIT
# Records of an earlier run count, too.
# file: tools/wal/log.c
# test: native wal_store/records_of_an*
s/^\t\t    record->epoch != s->super.epoch)/\t\t    0)/
