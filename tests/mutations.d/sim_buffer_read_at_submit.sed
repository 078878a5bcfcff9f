# SPDX-License-Identifier: MIT
# The buffer of a write is read at once.
# file: lib/sim_io.c
# test: native sim_disk/a_write_reads*
s/at = sim_between(&sim->disk, sim->now, io->ends);/at = sim->now;/
