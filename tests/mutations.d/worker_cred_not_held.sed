# SPDX-License-Identifier: MIT
# The worker is somebody whose identity its op may take along.
# file: kmod/worker.c
# test: kunit pirn_worker
s/own_cred = get_cred(op->ident->cred);/own_cred = op->ident->cred;/
/put_cred(own_cred);/d
