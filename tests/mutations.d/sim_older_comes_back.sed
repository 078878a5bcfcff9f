# SPDX-License-Identifier: MIT
# A durable write leaves the older ones of its page as they were.
# file: lib/sim_crash.c
# test: native sim_crash/an_older*
s/older->sectors &= (uint8_t)~piece->sectors;/older->sectors \&= 0xff;/
