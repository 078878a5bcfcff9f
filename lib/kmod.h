/* SPDX-License-Identifier: MIT */
/* Backend kmod, between its files: kmod_start.c makes what kmod.c works with. */
#ifndef PIRN_KMOD_H
#define PIRN_KMOD_H

#include <linux/pirn.h>

#include "helper.h"
#include "lib.h"

/* Ops that end together, in the result slots PIRN_JOIN_OPS times its index up. */
struct kmod_join {
	struct kmod_join *next;		/* while free */
	uint32_t nr;
};

struct kmod {
	int device;
	int channel;
	struct pirn_ring_header *ring;
	struct pirn_sqe *sq;
	struct pirn_cqe *cq;
	uint32_t sq_mask;
	uint32_t cq_mask;
	uint32_t sq_tail;	/* the next SQE to write */
	uint32_t cq_head;	/* the next CQE to read */
	uint32_t cq_seen;	/* the tail when the last enter returned */
	uint32_t depth;		/* ops that may be in flight */
	size_t map_bytes;
	struct pirn_cqe *results;
	struct kmod_join *joins;
	struct kmod_join *free_joins;
	struct pirn_jobs jobs;	/* for the helpers, at the next enter; in queued */
};

int pirn_kmod_probe(char *why, size_t why_bytes);
int pirn_kmod_core_start(struct pirn_core *core, char *why, size_t why_bytes);
void pirn_kmod_core_stop(struct pirn_core *core);

#endif /* PIRN_KMOD_H */
