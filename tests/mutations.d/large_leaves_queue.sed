# SPDX-License-Identifier: MIT
# A large request that gives up does not let the small ones behind it pass.
# file: lib/sync_count.c
# test: native sync_model
/^static void semaphore_left/,/^}/s/	semaphore_serve(core, wait->object);/	(void)core;\n	(void)wait;/
