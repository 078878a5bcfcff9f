# SPDX-License-Identifier: MIT
# A waiter that was woken leaves without taking the channel's lock.
# file: tests/models/wait.pml
# test: model wait
s/^\tlock(t, CHANNEL_LOCK);$/\tif\n\t:: memory[WOKEN] == 0 -> lock(t, CHANNEL_LOCK)\n\t:: else\n\tfi;/
