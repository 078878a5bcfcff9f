# SPDX-License-Identifier: MIT
# A channel that goes keeps its pools.
# file: kmod/attach.c
# test: torture kill
/^static void pirn_slot_free/,/^}/s/pirn_pool_put(slot->pool);/;/
