# SPDX-License-Identifier: MIT
# What an op gave is not in the hash.
# file: lib/sim_io.c
# test: native sim_world/the_hash_is_over_results
s/ | (uint32_t)io->result);/);/
