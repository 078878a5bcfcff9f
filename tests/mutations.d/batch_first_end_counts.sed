# SPDX-License-Identifier: MIT
# A batch does not wait for its last op.
# file: lib/batch.c
# test: native batch/each_has*
s/if (!--op->batch->left)/if (!op->batch->left-- || op->batch->left)/
