# SPDX-License-Identifier: MIT
# Who was woken takes away the waiter that another ENTER has announced since.
# file: kmod/wait.c
# test: direct wait/who_enters*
/^static unsigned int pirn_wait_with/,/^}/{
	s/^\tif (!waiter.woken)$/\tch->waiter = NULL;/
	s/^\t\tch->waiter = NULL;$//
	s/^\telse$/\tif (waiter.woken)/
}
