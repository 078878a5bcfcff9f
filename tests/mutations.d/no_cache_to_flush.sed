# SPDX-License-Identifier: MIT
# A device that has nothing to flush fails an fsync.
# file: kmod/block.c
# test: kunit pirn_block
s/err == -EOPNOTSUPP && !pirn_op_moves_data(op)/0/
