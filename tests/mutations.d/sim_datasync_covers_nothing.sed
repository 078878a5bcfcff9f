# SPDX-License-Identifier: MIT
# fdatasync makes nothing durable.
# file: lib/sim_io.c
# test: native sim_space/fdatasync*
/^static bool is_sync/,/^}/s/ || io->kind == PIRN_IO_FDATASYNC//
