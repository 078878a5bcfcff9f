# SPDX-License-Identifier: MIT
# One place more than the ring has.
# file: lib/aio_ring.h
# test: aio aio_ring/positions*
s/if (++head == ring->nr)/if (++head > ring->nr)/
