# SPDX-License-Identifier: MIT
# An allocated length is durable at once.
# file: lib/sim_data.c
# test: native sim_space/an_allocated*
/^void sim_data_extend/,/^}/s/^\tfile->bytes = bytes;$/&\n\tfile->durable_bytes = bytes;/
