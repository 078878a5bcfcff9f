# SPDX-License-Identifier: MIT
# A call on all cores ends when the first of them has.
# file: lib/gather.c
# test: native message_all/calls_on_all_cores_nest*
/^static void leg_replied/,/^}/s/!--leg->all->left/(leg->all->left--, 1)/
