# SPDX-License-Identifier: MIT
# One of the six registers is not given back by the switch.
# file: lib/switch_x86_64.S
# test: native fiber/callee_saved*
/^pirn_switch:/,/^\t.size/s/popq\t%r14/popq	%rdx/
