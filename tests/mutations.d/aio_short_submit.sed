# SPDX-License-Identifier: MIT
# io_submit is taken to have taken all.
# file: lib/aio.c
# test: aio aio/a_full_context*
s/^\t\ta->count -= (uint32_t)n;$/\t\ta->count = 0;/
