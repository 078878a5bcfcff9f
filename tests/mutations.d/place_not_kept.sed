# SPDX-License-Identifier: MIT
# The place of a woken caller is not kept until it sends: another takes it, and
# the ring overflows.
# file: lib/mailbox.c
# test: native message/full_queues_with_three*
/^static bool has_room/,/^}/s/out->tail + out->promised/out->tail/
