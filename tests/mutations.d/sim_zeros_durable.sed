# SPDX-License-Identifier: MIT
# Zeros are durable at completion.
# file: lib/sim_space.c
# test: native sim_space/zeros*
s/^\t\tio->record->done = ++file->node->done;$/\t\tsim_record_keep(io->record);/
