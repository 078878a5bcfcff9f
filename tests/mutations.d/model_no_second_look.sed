# SPDX-License-Identifier: MIT
# A core announces that it sleeps, and does not look again.
# file: tests/models/sleep.pml
# test: model sleep
s/^\t\t\t:: NEWS$/\t\t\t:: false/
