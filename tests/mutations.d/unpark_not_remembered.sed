# SPDX-License-Identifier: MIT
# An unpark before the park is forgotten.
# file: lib/fiber.c
# test: native fiber/unpark_is*
/^int pirn_unpark/,/^}/s/fiber->permit = true;/fiber->permit = false;/
