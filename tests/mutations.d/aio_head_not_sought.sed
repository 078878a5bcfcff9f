# SPDX-License-Identifier: MIT
# Where io_getevents left the ring's head is not looked at.
# file: lib/aio.c
# test: aio aio/more_reads*
s/^\tpirn_aio_ring_seek(&a->ring);$//
