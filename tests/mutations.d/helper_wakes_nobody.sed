# SPDX-License-Identifier: MIT
# The end of a helper's job does not wake the core.
# file: lib/foreign.c
# test: aio helper/the_end_of_a_job*
s/^\t\tcore->ops->wake(core);$/\t\t(void)core->ops;/
