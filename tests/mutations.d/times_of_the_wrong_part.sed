# SPDX-License-Identifier: MIT
# The time before the submission is taken for the device's.
# file: lib/times.c
# test: kmod core_times/the_parts*
s/note(times, PIRN_TIME_DEVICE, device);/note(times, PIRN_TIME_DEVICE, between(op->asked, published - device));/
