# SPDX-License-Identifier: MIT
# A join takes result slots that another one still fills.
# file: kmod/join.c
# test: direct join/slots*
s/if (find_next_bit(ch->result_map, first + nr, first) >= first + nr)/if (1)/
