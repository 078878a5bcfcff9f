# SPDX-License-Identifier: MIT
# A core that sleeps has no deadline for its stacks.
# file: lib/host.c
# test: native stack/an_idle*
s/deadline = core->stacks.look_at;/(void)deadline;/
