# SPDX-License-Identifier: MIT
# A channel that goes keeps its targets' files.
# file: kmod/attach.c
# test: torture kill
/^static void pirn_target_free/,/^}/s/fput(target->file);/;/
