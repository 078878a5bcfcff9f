# SPDX-License-Identifier: MIT
# Callees too wait for the window, and so for each other.
# file: lib/message.c
# test: native message_post/calls_nest_through*
/^static int window_enter/,/^}/s/core->current->nested ||/0 ||/
