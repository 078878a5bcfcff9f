# SPDX-License-Identifier: MIT
# What is left of a turn is lost to a fiber with its own rounding.
# file: lib/fiber.c
# test: native stack/own_rounding*
/^static void fp_leave/,/^}/s/core->budget = core->fp_budget;/;/
