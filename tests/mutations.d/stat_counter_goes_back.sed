# SPDX-License-Identifier: MIT
# A module loaded anew counts from where the old one was.
# file: tools/pirn/stat_print.c
# test: native stat/cpus_come*
s/ && old->value\[c\] <= cpu->value\[c\]//
