# SPDX-License-Identifier: MIT
# The runtime's end does not wait for helper threads, which write to stacks.
# file: lib/host.c
# test: native helper/the_end_waits*
s/if (!core->in_flight && !core->helped)/if (!core->in_flight)/
