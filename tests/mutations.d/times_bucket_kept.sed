# SPDX-License-Identifier: MIT
# An op's whole time is counted where that of the first one was.
# file: lib/times.c
# test: kmod core_times/the_parts*
s/op->asked != latest->asked/!latest->asked/
s/issued != latest->issued/!latest->issued/
s/seen != latest->seen/!latest->seen/
