# SPDX-License-Identifier: MIT
# Deadlines are of the first time namespace.
# file: kmod/wait.c
# test: direct wait_end/deadlines_are*
/timens_add_monotonic/d
