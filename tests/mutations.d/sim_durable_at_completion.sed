# SPDX-License-Identifier: MIT
# A write is durable when it completes.
# file: lib/sim_io.c
# test: native sim_crash/lost_writes*
/^static void complete_write/,/^}/s/if (io->dsync)/if (io->record)/
