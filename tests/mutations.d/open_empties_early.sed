# SPDX-License-Identifier: MIT
# A file is emptied before it is known that the module takes it.
# file: lib/kmod.c
# test: kmod open/nor_does_one*
/^static int kmod_file_open/,/^}/s/flags & ~O_TRUNC/flags/
