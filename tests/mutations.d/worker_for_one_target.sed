# SPDX-License-Identifier: MIT
# One target may have all of the worker.
# file: kmod/worker.c
# test: files files_rights/what_hangs*
s/PIRN_TARGET_WORKERS\t16u/PIRN_TARGET_WORKERS\t512u/
