# SPDX-License-Identifier: MIT
# POOL_ATTACH that cannot tell its index keeps the pool.
# file: kmod/attach.c
# test: torture fuzz
/^void pirn_slot_abort/,/^}/s/pirn_slot_free(slot);/;/
