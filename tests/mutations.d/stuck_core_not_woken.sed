# SPDX-License-Identifier: MIT
# A core that sleeps because a ring is full is not woken when there is room.
# file: lib/mailbox.c
# test: native message/full_queues_with_one*
/^static void wake_if/,/^}/s/how == PIRN_SLEEPS_STUCK ||//
