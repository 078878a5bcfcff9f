# SPDX-License-Identifier: MIT
# The worker forgets in whose cgroup it works.
# file: kmod/worker.c
# test: torture pressure
s/kthread_associate_blkcg(op->ident->blkcg);/kthread_associate_blkcg(NULL);/
