# SPDX-License-Identifier: MIT
# The ring's head is stored before the events are read: (C) of aio_ring.h.
# file: lib/aio_ring.h
# test: aio aio_ring/each_event*
/^pirn_aio_ring_reap/,/^}/s/^\tfor (; head != tail; n++) {/\t__atomic_store_n(\&ring->shared->head, tail, __ATOMIC_RELEASE);\n&/
