# SPDX-License-Identifier: MIT
# A completion does not wake who sleeps for it.
# file: kmod/complete.c
# test: direct wait/a_completion_ends*
/pirn_publish(struct/,/^}/s/^\tpirn_wake(ch);$//
