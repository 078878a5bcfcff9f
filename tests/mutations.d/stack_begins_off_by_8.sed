# SPDX-License-Identifier: MIT
# A fiber's first function is called on a stack not aligned.
# file: lib/switch.h
# test: native switch/a_stack*
0,/\*--sp = 0;/s/\*--sp = 0;/;/
