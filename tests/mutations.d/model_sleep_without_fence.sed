# SPDX-License-Identifier: MIT
# The barrier between announcing sleep and the second look, (D) in host.c; its
# counterpart in the code is sleep_without_fence.
# file: tests/models/sleep.pml
# test: model sleep
/^active proctype core_b/,/^}/s|^\t*fence(B);\t*/\* (D) \*/$||
