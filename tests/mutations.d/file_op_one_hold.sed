# SPDX-License-Identifier: MIT
# The completion ends an op that the file system still has in its hands.
# file: kmod/file.c
# test: kunit pirn_file
s/atomic_set(&op->holds, 2);/atomic_set(\&op->holds, 1);/
/ret == -EIOCBQUEUED) {/,/} else/s/pirn_file_let_go(op);/;/
