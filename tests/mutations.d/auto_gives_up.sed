# SPDX-License-Identifier: MIT
# A start that fails for want of memory is not tried on another backend.
# file: lib/runtime.c
# test: direct rights/auto*
/^static bool start_elsewhere/,/^}/s/return true;/return false;/
