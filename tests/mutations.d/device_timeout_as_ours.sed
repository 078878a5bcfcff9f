# SPDX-License-Identifier: MIT
# A device's -ETIMEDOUT is given on.
# file: lib/io.c
# test: native cancel/a_device_that*
/^int pirn_device_error/,/^}/s/error == -ETIMEDOUT ||//
