# SPDX-License-Identifier: MIT
# The state of the task is set without set_current_state()'s barrier.
# file: tests/models/wait.pml
# test: model wait
s|^\t*fence(t);\t*/\* (b) \*/$||
