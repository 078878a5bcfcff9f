# SPDX-License-Identifier: MIT
# The log is cut at the first bad record, whatever follows.
# file: tools/wal/log.c
# test: native wal_store/a_bad_place*
s/^\t\tif (!record || record->lsn < stop ||/\t\tif (1 || !record || record->lsn < stop ||/
