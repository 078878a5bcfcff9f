# SPDX-License-Identifier: MIT
# A page that was right once is taken for right.
# file: tools/wal/pages.c
# test: native wal_store/a_page_that_was*
s/ && page->crc == s->map\[number\] &&/ \&\&/
