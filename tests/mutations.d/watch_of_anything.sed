# SPDX-License-Identifier: MIT
# A file that cannot be polled is always ready, and may be watched.
# file: kmod/wait.c
# test: direct watch/what_cannot*
s/if (file_can_poll(file) &&/if (/
