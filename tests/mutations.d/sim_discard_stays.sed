# SPDX-License-Identifier: MIT
# A durable write does not end that its sectors were discarded.
# file: lib/sim_crash.c
# test: native sim_space/a_write_after*
s/slot->durable_vague \&= (uint8_t)~piece->sectors;/slot->durable_vague \&= 0xff;/
