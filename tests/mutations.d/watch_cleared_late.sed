# SPDX-License-Identifier: MIT
# triggered is cleared after the look: what became ready between the two wakes
# nobody.
# file: kmod/wait.c
# chance: a window of some ns; model_watch_cleared_late is caught each time
# test: direct watch/wakes_of_two*
/^static bool pirn_watch_ready/,/^}/{
	/smp_store_mb/d
	s/^\tpt->_qproc = NULL;$/&\n\tWRITE_ONCE(watch->table.triggered, 0);/
}
