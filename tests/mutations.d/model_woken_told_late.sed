# SPDX-License-Identifier: MIT
# The waiter's woken is set after the wake.
# file: tests/models/wait.pml
# test: model wait
/^active proctype notifies/,/^}/{
	/store(NOTIFIES, WOKEN, 1);/d
	s/^\t\t\twake_up_process(NOTIFIES);$/&\n\t\t\tstore(NOTIFIES, WOKEN, 1);/
}
