# SPDX-License-Identifier: MIT
# Of the ops that found no room only the first is tried again.
# file: lib/io.c
# test: native io/two_thousand*batch_8
s/core->pending = op->next;/core->pending = NULL;/
