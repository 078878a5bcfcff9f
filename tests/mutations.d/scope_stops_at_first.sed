# SPDX-License-Identifier: MIT
# The end of a scope does not get to those inside.
# file: lib/scope.c
# test: native scope/what_ends*
/^static struct pirn_scope \*walk/,/^}/s/down \&\& scope->inner/0 \&\& down/
