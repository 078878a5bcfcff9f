# SPDX-License-Identifier: MIT
# A channel lies where its creator happens to allocate, not with its CPU.
# file: kmod/channel.c
# test: direct rights/pools_and*
/^static int pirn_node_of/,/^}/s/node_online(node) ? node : NUMA_NO_NODE/0 ? node : NUMA_NO_NODE/
