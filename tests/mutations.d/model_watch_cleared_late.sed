# SPDX-License-Identifier: MIT
# triggered is cleared after the look and not before; its counterpart in the code
# is watch_cleared_late.
# file: tests/models/wait.pml
# test: model wait
/^inline watch_ready/,/^}/{
	/store(t, TRIGGERED, 0);/d
	s/^\tvfs_poll(t)$/\tvfs_poll(t);\n\tstore(t, TRIGGERED, 0)/
}
