# SPDX-License-Identifier: MIT
# The time before the submission is taken for the device's.
# file: lib/times.c
# test: kmod core_times/the_parts*
s/note(core, PIRN_TIME_DEVICE, issued, published);/note(core, PIRN_TIME_DEVICE, op->asked, issued);/
