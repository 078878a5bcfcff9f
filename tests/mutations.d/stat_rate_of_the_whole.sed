# SPDX-License-Identifier: MIT
# What was added is not divided by the time.
# file: tools/pirn/stat_print.c
# test: native stat/rates_are*
s| / line->seconds||
