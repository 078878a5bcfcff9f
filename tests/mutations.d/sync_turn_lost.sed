# SPDX-License-Identifier: MIT
# A fiber that was handed the turn to sync, and then refused, keeps it.
# file: lib/io.c
# test: native cancel/who_waits_for*
/^static int sync_at_home/,/^}/s/if (file->sync_waiting.first)/if (!op.refused \&\& file->sync_waiting.first)/
