# SPDX-License-Identifier: MIT
# An error of fdatasync does not stay with the file.
# file: lib/io.c
# test: native sim_space/errors*
/^static int sync_at_home/,/^}/s/^\t\t\tsync_failed(file, err);$/\t\t\tif (kind == PIRN_IO_FSYNC)\n\t\t\t\tsync_failed(file, err);/
