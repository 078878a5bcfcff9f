# SPDX-License-Identifier: MIT
# Equal times come in the order they were added.
# file: lib/sim_event.c
# test: native sim_order/the_seed_orders_equal*
s/\.tie = sim_next(&sim->schedule)/.tie = sim->counts.events/
