# SPDX-License-Identifier: MIT
# The end of the range in the pool is computed with a sum that wraps.
# file: kmod/pirn.h
# test: direct sqe/ranges*
s/op->len > bytes - op->pool_offset/op->pool_offset + op->len > bytes/;s/op->pool_offset > bytes ||/0 ||/
