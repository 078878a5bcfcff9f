# SPDX-License-Identifier: MIT
# A sender that is stuck announces its sleep without the barrier, (D) in host.c.
# file: tests/models/sleep.pml
# test: model sleep
/^active proctype core_a/,/^}/s|^\t*fence(A);\t*/\* (D) \*/$||
