# SPDX-License-Identifier: MIT
# A NOTIFY that finds nobody asleep is lost.
# file: tests/models/sleep.pml
# test: model sleep
s/:: else -> notified\[core\] = true/:: else/
