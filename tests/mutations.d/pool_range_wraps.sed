# SPDX-License-Identifier: MIT
# The end of the range in the pool is computed with a sum that wraps.
# file: kmod/block.c
# test: direct sqe/ranges*
s/op->len > pool_bytes - op->pool_offset/op->pool_offset + op->len > pool_bytes/;s/op->pool_offset > pool_bytes ||/0 ||/
