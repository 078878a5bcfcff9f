# SPDX-License-Identifier: MIT
# A writer that gives up does not look who can go on now.
# file: lib/sync_lock.c
# test: native sync_lock/a_writer_that_gives_up*
/^static void rwlock_left/,/^}/s/	rwlock_serve(core, wait->object);/	(void)core;\n	(void)wait;/
