# SPDX-License-Identifier: MIT
# A buffer returned from another core is not freed at home.
# file: lib/pool.c
# test: native message_post/returned*
/^static int free_posted/,/^}/s/int err = pirn_pool_release(&core->pool, buf);/int err = 0; (void)buf; (void)core;/
