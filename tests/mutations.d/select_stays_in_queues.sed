# SPDX-License-Identifier: MIT
# A select that has one thing keeps its other places.
# file: lib/select.c
# test: native sync_model
/^void pirn_select_done/,/^}/s/	places_leave(whole);/	if (place->in)\n		pirn_waiters_remove(place);/
