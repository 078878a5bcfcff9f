# SPDX-License-Identifier: MIT
# IO of a file begins where the first piece of its memory does.
# file: kmod/file.c
# test: files files/memory*
s/iter.iov_offset = span.skip;/;/
