# SPDX-License-Identifier: MIT
# An automatic event that let one pass is set for another, too.
# file: lib/sync_event.c
# test: native sync_model
/^int pirn_event_set/,/^}/s/		return 0;/		event->set = true;\n		return 0;/
