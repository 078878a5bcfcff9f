# SPDX-License-Identifier: MIT
# What a helper thread is to do goes to the module, as a member of a join.
# file: lib/kmod.c
# test: kmod host_io/a_batch*
/^static int kmod_queue_join/,/^}/s/before_helped(ops, nr)/before_helped(ops, nr) ? nr : 0/
