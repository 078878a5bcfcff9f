# SPDX-License-Identifier: MIT
# What a channel's histogram held goes with it.
# file: kmod/stats.c
# test: direct trace/device*
s/pirn_times_add(cpu->closed_times, ch->histogram);/;/
