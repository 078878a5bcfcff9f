# SPDX-License-Identifier: MIT
# A file that was made for an open that then failed stays.
# file: lib/host_file.c
# test: kmod open/nor_does_one*
/^static void work_open_undo/,/^}/s/^\tunmake(.*$//
