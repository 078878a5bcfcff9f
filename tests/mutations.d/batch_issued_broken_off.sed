# SPDX-License-Identifier: MIT
# A batch of which some ops are issued is ended by its scope.
# file: lib/batch.c
# test: native batch/a_scope*
s/op->fiber->wait = NULL;/(void)op;/
