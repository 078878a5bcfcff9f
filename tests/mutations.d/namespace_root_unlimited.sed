# SPDX-License-Identifier: MIT
# Root of a user namespace may pin what he likes.
# file: kmod/memory.c
# test: direct rights/root_of*
s/!capable(CAP_IPC_LOCK)/!ns_capable(current_user_ns(), CAP_IPC_LOCK)/
