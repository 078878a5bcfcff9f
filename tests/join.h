/* SPDX-License-Identifier: MIT */
/* What the programs that try joins on a channel share. */
#ifndef PIRN_TESTS_JOIN_H
#define PIRN_TESTS_JOIN_H

#include "device.h"

#define POOL (1 * MiB)
#define ENDED (PIRN_CQE_THRESHOLD | PIRN_CQE_DRAINED)

static inline void join_rig(struct rig *rig, uint32_t entries, uint32_t results,
		     const char *disk)
{
	const struct pirn_channel_create create = {
		.sq_entries = entries, .cq_entries = entries, .results = results,
	};

	channel_open_as(&rig->ch, &create);
	pool_open(&rig->pool, POOL);
	check_eq(must(attach_pool_fd(&rig->ch, rig->pool.fd)), 0);
	check_eq(attach_disk(&rig->ch, disk, O_RDWR), 0);
}

static inline struct pirn_sqe join_sqe(uint32_t nr, uint32_t threshold, uint64_t first)
{
	return (struct pirn_sqe){ .op = PIRN_OP_JOIN, .cookie = 0x101, .len = nr,
				  .threshold = threshold, .offset = first };
}

static inline void put(struct channel *ch, struct pirn_sqe sqe, uint64_t cookie)
{
	sqe.cookie = cookie;
	*next_sqe(ch) = sqe;
}

/* A JOIN with cookie 1 and members with 100 up that read 4 KiB each. */
static inline void put_reads(struct channel *ch, uint32_t nr, uint32_t threshold,
		      uint32_t first)
{
	struct pirn_sqe sqe;
	uint32_t i;

	put(ch, join_sqe(nr, threshold, first), 1);
	for (i = 0; i < nr; i++) {
		sqe = io_sqe(PIRN_OP_READ, 4096ull * i, 4096ull * i, 4096);
		sqe.flags = PIRN_SQE_NOMERGE;
		put(ch, sqe, 100 + i);
	}
}

static inline uint32_t slot_flags(const struct channel *ch, uint32_t slot)
{
	return __atomic_load_n(&ch->results[slot].flags, __ATOMIC_ACQUIRE);
}

static inline void check_slot(const struct channel *ch, uint32_t slot, uint64_t cookie,
		       int res)
{
	check_eq(slot_flags(ch, slot), PIRN_CQE_DONE);
	check_eq(ch->results[slot].cookie, cookie);
	check_eq(ch->results[slot].res, res);
	check_eq(ch->results[slot].device | ch->results[slot].published, 0);
}

static inline void expect_cqe(struct channel *ch, uint64_t cookie, int res, uint32_t flags)
{
	struct pirn_cqe cqe;

	await_cqes(ch, 1);
	cqe = take_any_cqe(ch);
	check_eq(cqe.cookie, cookie);
	check_eq(cqe.res, res);
	check_eq(cqe.flags, flags);
}

/* Every credit has come back: the whole CQ can be filled, and no more. */
static inline void all_credits_are_back(struct channel *ch)
{
	uint32_t entries = ch->ring->cq_entries, i;

	check_eq(cq_ready(ch), 0);
	for (i = 0; i < entries; i++)
		put(ch, (struct pirn_sqe){ 0 }, i);
	check_eq(enter(ch, entries), entries);
	put(ch, (struct pirn_sqe){ 0 }, 0);
	check_eq(enter(ch, 1), 0);
	for (i = 0; i < entries; i++)
		expect_cqe(ch, i, 0, 0);
	check_eq(enter(ch, 1), 1);
	expect_cqe(ch, 0, 0, 0);
}

#endif /* PIRN_TESTS_JOIN_H */
