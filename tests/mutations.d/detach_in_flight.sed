# SPDX-License-Identifier: MIT
# A target may go while ops use it.
# file: kmod/attach.c
# test: direct attach/detach_while*
/^int pirn_target_detach/,/^}/s/target->issued != target->done/0/
