# SPDX-License-Identifier: MIT
# A file is closed while it is truncated.
# file: lib/file.c
# test: native helper/close_refuses*
s/^\tfile->on\[core->index\].busy++;$//
