# SPDX-License-Identifier: MIT
# Of ops that wait for the worker the last one goes first.
# file: kmod/worker.c
# test: kunit pirn_worker
/^static bool pirn_worker_begin/,/^}/{s/op->next = NULL;/op->next = target->waiting.head;/;s/target->waiting.tail->next = op;/target->waiting.head = op;/}
