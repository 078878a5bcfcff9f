# SPDX-License-Identifier: MIT
# A pool for whoever asks lies on the CPU's node, whether its cpuset has it or not.
# file: kmod/pool.c
# test: direct rights/pools_and*
/^static int pirn_local_node/,/^}/s/if (!node_isset(node, cpuset_current_mems_allowed))/if (0)/
