# SPDX-License-Identifier: MIT
# The page with the control block goes back with the others.
# file: lib/stack_watch.c
# test: native stack/an_idle*
/^static void give_back/,/^}/s/(size_t)(top - lowest)/(size_t)(top - lowest) + stacks->page/
