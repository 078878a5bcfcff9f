# SPDX-License-Identifier: MIT
# The barrier between making room in a mailbox and looking whether its sender
# sleeps, (C) in mailbox.c.
# file: tests/models/sleep.pml
# test: model sleep
/^active proctype core_b/,/^}/s|^\t*fence(B);\t*/\* (C), room \*/$||
