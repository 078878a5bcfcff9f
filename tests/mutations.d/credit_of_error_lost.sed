# SPDX-License-Identifier: MIT
# The credit of an op that fails is never given back.
# file: kmod/complete.c
# test: torture faults
s/^\tch->in_flight--;/\tch->in_flight -= res >= 0;/
