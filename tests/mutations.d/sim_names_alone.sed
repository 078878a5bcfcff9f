# SPDX-License-Identifier: MIT
# A change of names that is undone leaves the later ones.
# file: lib/sim_names.c
# test: native sim_names/changes_stand*
s/change->picked = earlier->picked \&\&/change->picked = false \&\&/
