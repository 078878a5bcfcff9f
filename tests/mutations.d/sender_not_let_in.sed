# SPDX-License-Identifier: MIT
# The room an item leaves is not given to who waits to send.
# file: lib/fifo.c
# test: native sync_model
/^int pirn_fifo_take/,/^}/s/if (fifo->senders.first)/if (0)/
