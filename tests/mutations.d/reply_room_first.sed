# SPDX-License-Identifier: MIT
# A message is taken only when there is room for a reply to it: the places are
# not reserved by the calls, and two full rings wait for each other.
# file: lib/mailbox.c
# test: native message_graph/*depth_1
/^inbox_receive/,/^}/s/^	while (in->head - first < PIRN_TURN_MESSAGES) {$/	while (in->head - first < PIRN_TURN_MESSAGES \&\& has_room(core, \&core->out[in - core->in])) {/
