# SPDX-License-Identifier: MIT
# What was not used for an interval is not seen.
# file: lib/stack_watch.c
# test: native stack/a_busy*
s/stacks->aging = stacks->free;/stacks->aging = NULL;/
