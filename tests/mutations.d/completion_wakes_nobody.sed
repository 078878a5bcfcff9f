# SPDX-License-Identifier: MIT
# A completion does not wake who sleeps for it.
# file: kmod/complete.c
# test: direct wait/a_completion_ends*
/^static void pirn_publish/,/^}/s/^\tpirn_wake(ch);$//
