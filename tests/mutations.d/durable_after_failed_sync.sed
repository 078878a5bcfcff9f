# SPDX-License-Identifier: MIT
# A write is said to be durable on a handle whose sync has failed.
# file: lib/io.c
# test: native sim_disk/after_a_failed_sync*
/^ssize_t pirn_pwrite/,/^}/s/if (flags & PIRN_DSYNC) {/if (0) {/
