# SPDX-License-Identifier: MIT
# A time that differs from the one before is counted where that was.
# file: lib/times.c
# test: native core_times/quantiles*
/note_again(struct/,/^}/s/latest->bucket = pirn_histogram_bucket(ns);//
