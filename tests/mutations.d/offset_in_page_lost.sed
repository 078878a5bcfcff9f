# SPDX-License-Identifier: MIT
# Memory is moved from where its page begins.
# file: kmod/pirn.h
# test: torture verify
s/op->bvec.bv_offset = offset_in_page(op->pool_offset);/op->bvec.bv_offset = 0;/
