# SPDX-License-Identifier: MIT
# The index of a target is not held against the table.
# file: kmod/submit.c
# test: torture fuzz
/^static struct pirn_target \*pirn_target_find/,/^}/s/index >= PIRN_MAX_TARGETS/0/;/^static struct pirn_target \*pirn_target_find/,/^}/s/index = array_index_nospec.*;/;/
