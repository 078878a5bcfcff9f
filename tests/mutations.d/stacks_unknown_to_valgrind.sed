# SPDX-License-Identifier: MIT
# Valgrind is not told where stacks are.
# file: lib/sanitizer.h
# test: native reports/valgrind*
s/VALGRIND_STACK_REGISTER(fiber->stack_low, fiber)/0/
