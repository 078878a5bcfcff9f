# SPDX-License-Identifier: MIT
# Every op names the first pool.
# file: lib/kmod.c
# test: kmod io/a_buffer_of_another*
/put_sqe(/,/^}/s/sqe->pool = (uint16_t)op->pool_slot;/sqe->pool = 0;/
