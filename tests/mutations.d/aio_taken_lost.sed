# SPDX-License-Identifier: MIT
# The event that io_getevents took out of the ring is not given on.
# file: lib/aio.c
# test: aio aio/more_reads*
s/a->has_taken = n == 1;/a->has_taken = false;/
