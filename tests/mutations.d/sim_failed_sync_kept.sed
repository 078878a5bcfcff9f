# SPDX-License-Identifier: MIT
# A failed sync makes everything durable.
# file: lib/sim_io.c
# test: native sim_crash/after_a_failed*
s/sim_data_sync(io->file, io->done, io->fails);/sim_data_sync(io->file, io->done, false);/
