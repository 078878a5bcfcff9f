# SPDX-License-Identifier: MIT
# The ring's head is never stored: the kernel gets no credit back.
# file: lib/aio_ring.h
# test: aio aio/more_reads*
/^pirn_aio_ring_reap/,/^}/s/^\t__atomic_store_n(&ring->shared->head.*$//
