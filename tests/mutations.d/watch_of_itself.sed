# SPDX-License-Identifier: MIT
# A channel may watch a channel.
# file: kmod/wait.c
# test: direct watch/what_cannot*
s/ && file->f_op != &pirn_channel_fops//
