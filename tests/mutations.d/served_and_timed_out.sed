# SPDX-License-Identifier: MIT
# A deadline ends a wait that was served and has not run yet.
# file: lib/wait.c
# test: native sync/who_was_served*
/^void pirn_wait_timed_out/,/^}/s/	if (wait->fiber->wait != wait)$/	wait->fiber->wait = wait;\n	if (false)/
