# SPDX-License-Identifier: MIT
# What a closed channel's user was charged for becomes the module's.
# file: kmod/stats.c
# test: kunit pirn_stats
s/^\t\tpirn_times_add(cpu->closed_times, ch->histogram);/&\n\tch->histogram = NULL;/
