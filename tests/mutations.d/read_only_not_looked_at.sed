# SPDX-License-Identifier: MIT
# A device made read-only is written to.
# file: kmod/block.h
# test: torture faults
s/if (unlikely(bdev_read_only(target->bdev)))/if (0)/
