# SPDX-License-Identifier: MIT
# The completion of a read given up ends a wait that is over.
# file: lib/give.c
# test: native give/of_completion*
/^static void left/,/^}/s/give->wait = NULL;/;/
