# SPDX-License-Identifier: MIT
# A stack that was given back is taken before one that was not.
# file: lib/stack.c
# test: native stack/stacks_in*
/^struct pirn_fiber \*pirn_stack_get_slow/,/^}/s/stacks->aging/stacks->TMP/
/^struct pirn_fiber \*pirn_stack_get_slow/,/^}/s/stacks->cold/stacks->aging/
/^struct pirn_fiber \*pirn_stack_get_slow/,/^}/s/stacks->TMP/stacks->cold/
