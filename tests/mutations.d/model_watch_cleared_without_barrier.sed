# SPDX-License-Identifier: MIT
# triggered is cleared without the barrier of smp_store_mb().
# file: tests/models/wait.pml
# test: model wait
s|^\t*fence(t);\t*/\* (a) \*/$||
