# SPDX-License-Identifier: MIT
# A fiber that has ended and was joined may be joined again until its joiner runs.
# file: lib/fiber.c
# test: native fiber/a_fiber_is_joined*
/^static san_never_returns void fiber_end/,/^}/s/self->detached = true;/;/
