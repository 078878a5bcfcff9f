# SPDX-License-Identifier: MIT
# Stacks without a guard: the neighbour takes the overflow.
# file: lib/stack.c
# test: native misuse/a_stack_overflow*
/^static int guard_install/,/^}/s/madvise(low, stacks->guard, MADV_GUARD_INSTALL)/0/
