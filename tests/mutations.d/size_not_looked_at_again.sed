# SPDX-License-Identifier: MIT
# The end of a device is where it was at ATTACH.
# file: kmod/block.h
# test: torture faults
s/size = bdev_nr_bytes(bdev) \& /size = target->bytes \& /
