# SPDX-License-Identifier: MIT
# The runtime's end does not wait for the jobs that no helper thread has begun.
# file: lib/helper.c
# test: native helper/the_end_waits*
/^static void \*helper_thread/,/^}/s/job = take(h);/job = h->stop ? NULL : take(h);/
