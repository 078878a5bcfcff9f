# SPDX-License-Identifier: MIT
# A commit is given up while its group is on the way.
# file: tools/wal/wal.c
# test: native wal_store/a_commit_under*
s/^\tpirn_shield_begin();//;s/^\tpirn_shield_end();//
