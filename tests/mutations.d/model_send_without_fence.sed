# SPDX-License-Identifier: MIT
# The barrier between publishing a message and looking whether the receiver
# sleeps, (C) in mailbox.c; its counterpart in the code is send_without_fence.
# file: tests/models/sleep.pml
# test: model sleep
/^active proctype core_a/,/^}/s|^\t*fence(A);\t*/\* (C) \*/$||
