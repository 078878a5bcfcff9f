# SPDX-License-Identifier: MIT
# A target may have one more of the worker than it should.
# file: kmod/worker.c
# test: kunit pirn_worker
s/target->working < PIRN_TARGET_WORKERS/target->working <= PIRN_TARGET_WORKERS/
