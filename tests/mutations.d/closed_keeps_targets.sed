# SPDX-License-Identifier: MIT
# A closed channel keeps all that was attached while one of its ops hangs.
# file: kmod/attach.c
# test: files files_rights/a_disk_that_hangs*
/^void pirn_tables_drop_idle/,/^}/s/pirn_target_detach(ch, i);/;/
