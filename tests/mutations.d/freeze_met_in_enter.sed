# SPDX-License-Identifier: MIT
# ENTER waits with a write for a frozen file system to thaw.
# file: kmod/file.c
# test: files files_rights/a_frozen*
/^static bool pirn_begin_write/,/^}/s/!(iocb->ki_flags & IOCB_NOWAIT)/1/
