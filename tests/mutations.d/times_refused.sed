# SPDX-License-Identifier: MIT
# An SQE that is refused has a device time.
# file: kmod/submit.c
# test: direct times/refused*
s/pirn_refuse(op, err)/pirn_complete(op, err)/
