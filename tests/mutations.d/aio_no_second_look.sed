# SPDX-License-Identifier: MIT
# No look at what io_submit refused before going to sleep: nothing ends that.
# file: lib/aio.c
# test: aio aio/a_refused_op*
s/if (wait && !aio_ready(core))/if (wait)/
