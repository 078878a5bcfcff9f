# SPDX-License-Identifier: MIT
# What is written to a device is not durable although it was opened for that.
# file: kmod/block.h
# test: direct trace/writes_are_durable*
s/if (write && op->target->file->f_flags & O_DSYNC)/if (false)/
