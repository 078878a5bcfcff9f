# SPDX-License-Identifier: MIT
# Zeros for a scope that has ended are written.
# file: lib/space.c
# test: native space/a_scope*
s/err = pirn_op_run(core, op);/core->current->shield++; err = pirn_op_run(core, op); core->current->shield--;/
