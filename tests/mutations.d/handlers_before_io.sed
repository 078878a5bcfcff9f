# SPDX-License-Identifier: MIT
# Handlers of dropped fibers run while their IO is in flight.
# file: lib/host.c
# test: native shutdown/handlers_of*
/^static void run_turns/,/^}/s/^\tpirn_left_report(core);/&\n\tpirn_left_drop(core);/
