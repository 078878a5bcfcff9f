// SPDX-License-Identifier: MIT
/*
 * Backend kmod: a channel of /dev/pirn a core.  With kmod_start.c, which makes it,
 * the only ioctl() calls on it.
 *
 * Stage 2 of a read: an op becomes an SQE in the mapped ring.  Stage 4: enter()
 * hands the turn's SQEs to the kernel (kmod/enter.c).  Stage 9: reap() finds the
 * CQEs the kernel published, from interrupt context as a rule, by loading the
 * tail; the ordering is told in <linux/pirn.h>.
 *
 * Files are attached when they are opened.  Those opened buffered are no targets:
 * helper threads do their IO (host_io.c).
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pirn.h>

#include "backend.h"
#include "kmod.h"

/* What this backend calls a file that is no target of the channel. */
#define BY_HELPER	INT32_MAX

/* ---------------------------------------------------------- pools, targets */

/* A range aligned to a huge page, to map the pool into. */
static char *reserve(size_t bytes, struct pirn_pool *pool)
{
	uintptr_t at;

	pool->map_bytes = bytes + PIRN_HUGE;
	pool->map_base = mmap(NULL, pool->map_bytes, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
	if (pool->map_base == MAP_FAILED)
		return NULL;
	at = (uintptr_t)pool->map_base;
	return (char *)((at + PIRN_HUGE - 1) & ~(uintptr_t)(PIRN_HUGE - 1));
}

static int kmod_pool_map(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct kmod *k = core->backend;
	struct pirn_pool *pool = &core->pool;
	struct pirn_pool_create create = {
		.size = sizeof(create), .bytes = core->rt->opt.pool_bytes,
		.node = core->node,
	};
	char *at;
	int fd, err;

	fd = ioctl(k->device, PIRN_IOC_POOL_CREATE, &create);
	if (fd < 0) {
		err = -errno;
		snprintf(why, why_bytes,
			 "no pool of %llu KiB on node %d: %s%s",
			 (unsigned long long)create.bytes >> 10, core->node,
			 strerror(-err), err == -ENOMEM ?
			 " (the node is full, or RLIMIT_MEMLOCK reached)" : "");
		return err;
	}
	at = reserve(create.bytes, pool);
	if (!at || mmap(at, create.bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		err = -errno;
		snprintf(why, why_bytes, "mapping the pool: %s",
			 strerror(-err));
		if (at)
			munmap(pool->map_base, pool->map_bytes);
		close(fd);
		return err;
	}
	pool->handle = fd;
	pool->base = at;
	pool->bytes = create.bytes;
	return 0;
}

static void kmod_pool_unmap(struct pirn_pool *pool)
{
	munmap(pool->map_base, pool->map_bytes);
	close((int)pool->handle);
	pool->handle = -1;
}

static int kmod_pool_attach(struct pirn_core *core, struct pirn_pool *pool)
{
	struct kmod *k = core->backend;
	struct pirn_pool_attach attach = {
		.size = sizeof(attach), .fd = (int)pool->handle,
	};
	int err;

	if (!ioctl(k->channel, PIRN_IOC_POOL_ATTACH, &attach))
		return (int)attach.index;
	err = -errno;
	return pirn_fail(core, err, "attaching the pool of core %u: %s",
			 pool->owner, strerror(-err));
}

static int kmod_file_attach(struct pirn_core *core, struct pirn_file *file)
{
	struct kmod *k = core->backend;
	struct pirn_target_attach attach = {
		.size = sizeof(attach), .fd = (int)file->handle,
	};
	int err;

	if (file->flags & PIRN_O_BUFFERED)
		return BY_HELPER;
	if (!ioctl(k->channel, PIRN_IOC_TARGET_ATTACH, &attach)) {
		/* The first attach, in open, sets them for all cores. */
		if (file->block_bytes != attach.block_bytes)
			file->block_bytes = attach.block_bytes;
		if (file->memory_align != attach.memory_align)
			file->memory_align = attach.memory_align;
		return (int)attach.index;
	}
	err = -errno;
	return pirn_fail(core, err, "attaching the file to core %u: %s%s",
			 core->index, strerror(-err), err == -ENFILE ?
			 " (too many open files on this core)" :
			 err == -EOPNOTSUPP ?
			 " (its file system has no direct IO of its own: use PIRN_O_BUFFERED)" : "");
}

static void kmod_file_detach(struct pirn_core *core, int slot)
{
	struct kmod *k = core->backend;
	struct pirn_target_detach detach = {
		.size = sizeof(detach), .index = (uint32_t)slot,
	};

	if (slot != BY_HELPER && ioctl(k->channel, PIRN_IOC_TARGET_DETACH, &detach))
		pirn_panic("pirn: TARGET_DETACH of %d: %s", slot,
			   strerror(errno));
}

/*
 * What the kernel refuses is refused here and not at the first read, and the file
 * is emptied only when it cannot be refused any more.
 */
static int kmod_file_open(struct pirn_core *core, struct pirn_file *file,
			  const char *path, int flags, mode_t mode)
{
	char why[sizeof(core->reason)];
	int err = pirn_host_open(core, file, path, flags & ~O_TRUNC, mode);

	if (err)
		return err;
	err = pirn_file_attach(core, file);
	if (err >= 0 && flags & O_TRUNC && !file->block && !file->made)
		err = pirn_host_truncate(core, file, 0);
	if (err >= 0)
		return 0;
	/* The core's reason is another fiber's while this one parks. */
	snprintf(why, sizeof(why), "%s", core->reason[0] ? core->reason :
							   strerror(-err));
	if (file->on[core->index].slot >= 0)
		kmod_file_detach(core, file->on[core->index].slot);
	pirn_host_open_undo(core, file, path);
	return pirn_fail(core, err, "%s: %s", path, why);
}

/* ------------------------------------------------------------------- path */

/* One op, one SQE; there is room. */
static inlined void put_sqe(struct pirn_core *core, struct kmod *k,
			    const struct pirn_op *op)
{
	static const uint8_t code[] = {
		[PIRN_IO_FSYNC] = PIRN_OP_FSYNC,
		[PIRN_IO_FDATASYNC] = PIRN_OP_FDATASYNC,
		[PIRN_IO_FALLOCATE] = PIRN_OP_FALLOCATE,
		[PIRN_IO_DISCARD] = PIRN_OP_DISCARD,
	};
	struct pirn_sqe *sqe = &k->sq[k->sq_tail++ & k->sq_mask];

	_Static_assert(PIRN_OP_WRITE - PIRN_IO_WRITE ==
		       PIRN_OP_READ - PIRN_IO_READ, "one step for both");
	/* Nobody writes the reserved fields: they are zero since the ring was made. */
	sqe->target = (uint16_t)op->file_slot;
	sqe->cookie = (uintptr_t)op;
	sqe->offset = op->offset;
	if (likely(op->kind <= PIRN_IO_WRITE)) {
		sqe->op = (uint8_t)(op->kind + PIRN_OP_READ - PIRN_IO_READ);
		sqe->flags = op->file->flags & PIRN_O_RANDOM ? PIRN_SQE_NOMERGE : 0;
		sqe->pool = (uint16_t)op->pool_slot;
		sqe->pool_offset = op->pool_offset;
		sqe->len = op->bytes;
		sqe->threshold = 0;
		if (unlikely(op->dsync))
			sqe->flags |= PIRN_SQE_DSYNC;
	} else {
		sqe->op = code[op->kind];
		sqe->flags = 0;
		sqe->pool = 0;
		sqe->bytes = op->range;
		sqe->len = 0;
		sqe->mode = op->mode;
	}
	core->queued++;
}

static __attribute__((noinline)) bool queue_help(struct pirn_core *core,
						 struct kmod *k,
						 struct pirn_op *op)
{
	pirn_host_io_help(core, &k->jobs, op);
	core->queued++;
	return true;
}

/* Stage 2.  What is not the kernel's goes to the helpers at the next enter. */
static bool kmod_queue(struct pirn_core *core, struct pirn_op *op)
{
	struct kmod *k = core->backend;

	/* The CQ has a place for each op in flight: it cannot be too small. */
	if (unlikely(core->in_flight >= k->depth))
		return false;
	if (unlikely(op->file_slot == BY_HELPER))
		return queue_help(core, k, op);
	put_sqe(core, k, op);
	return true;
}

/* How many from the first on the kernel can let end together. */
static uint32_t before_helped(struct pirn_op **ops, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (ops[i]->file_slot == BY_HELPER)
			return i;
	return nr;
}

/*
 * A JOIN and its members.  The join counts as an op in flight until it has drained,
 * for it holds a place in the CQ; its cookie is odd, which no op's is.
 */
static int kmod_queue_join(struct pirn_core *core, struct pirn_op **ops,
			   uint32_t nr)
{
	struct kmod *k = core->backend;
	uint32_t depth = k->depth;
	struct kmod_join *join = k->free_joins;
	struct pirn_sqe *sqe;

	nr = before_helped(ops, nr);
	if (nr >= depth)
		nr = depth - 1;
	if (nr < 2 || !join)
		return -1;
	if (nr >= depth - core->in_flight)
		return 0;
	k->free_joins = join->next;
	join->nr = nr;
	sqe = &k->sq[k->sq_tail++ & k->sq_mask];
	*sqe = (struct pirn_sqe) {
		.op = PIRN_OP_JOIN,
		.cookie = (uint64_t)(join - k->joins) << 1 | 1,
		.offset = (uint64_t)(join - k->joins) * PIRN_JOIN_OPS,
		.len = nr,
		.threshold = nr,
	};
	core->queued++;
	core->in_flight++;
	for (uint32_t i = 0; i < nr; i++)
		put_sqe(core, k, ops[i]);
	return (int)nr;
}

static inline uint32_t cq_tail(const struct kmod *k)
{
	/* (C) of <linux/pirn.h> */
	return __atomic_load_n(&k->ring->cq_tail, __ATOMIC_ACQUIRE);
}

static void kmod_enter(struct pirn_core *core, bool wait, uint64_t deadline)
{
	struct kmod *k = core->backend;
	int taken;

	if (unlikely(k->jobs.count)) {
		core->queued -= k->jobs.count;
		pirn_helpers_give(core, &k->jobs);
		if (!wait && !core->queued)
			return;
	}
	core->stats.enters++;
	core->stats.seen_without_enter += cq_tail(k) - k->cq_seen;
	if (wait && deadline != UINT64_MAX) {
		struct pirn_enter enter = {
			.size = sizeof(enter), .flags = PIRN_ENTER_WAIT,
			.to_submit = core->queued,
			.deadline = deadline ? deadline : 1,
		};

		taken = ioctl(k->channel, PIRN_IOC_ENTER_UNTIL, &enter);
	} else {
		unsigned long word = core->queued;

		if (wait)
			word |= PIRN_ENTER_WAIT;
		taken = ioctl(k->channel, PIRN_IOC_ENTER, word);
	}
	k->cq_seen = cq_tail(k);
	/* ENOMEM: nothing was taken; the next turn tries again. */
	if (likely(taken >= 0))
		core->queued -= (uint32_t)taken & PIRN_ENTER_COUNT_MASK;
	else if (errno != EINTR && errno != ETIME && errno != ENOMEM)
		pirn_panic("pirn: ENTER of %u on core %u: %s", core->queued,
			   core->index, strerror(errno));
}

static bool kmod_ready(struct pirn_core *core)
{
	struct kmod *k = core->backend;

	return cq_tail(k) != k->cq_head;
}

/*
 * The end of one op, from the CQ or a result slot, which is counted already.  @now:
 * the time of this turn, if times are kept.
 */
static inline void op_ended(struct pirn_core *core, const struct pirn_cqe *cqe,
			    uint64_t now)
{
	struct pirn_op *op = (struct pirn_op *)(uintptr_t)cqe->cookie;

	if (unlikely(core->times))
		pirn_times_parts(core->times, op, cqe->device,
				 cqe->published, now);
	pirn_op_complete_counted(core, op, cqe->res);
}

/* Only once it has drained: the threshold is all of it. */
static void join_ended(struct pirn_core *core, struct kmod *k,
		       const struct pirn_cqe *cqe, uint64_t now)
{
	struct kmod_join *join = &k->joins[cqe->cookie >> 1];
	const struct pirn_cqe *slot =
		&k->results[(cqe->cookie >> 1) * PIRN_JOIN_OPS];

	if (!(cqe->flags & PIRN_CQE_DRAINED))
		pirn_panic("pirn: a join of %u on core %u was refused: %s",
			   join->nr, core->index, strerror(-cqe->res));
	/* Its own CQE was counted as an op: one less, and the members. */
	core->stats.completed += join->nr - 1;
	core->in_flight -= join->nr;
	for (uint32_t i = 0; i < join->nr; i++)
		op_ended(core, &slot[i], now);
	join->next = k->free_joins;
	k->free_joins = join;
}

static void kmod_reap(struct pirn_core *core)
{
	struct kmod *k = core->backend;
	uint32_t tail = cq_tail(k), head = k->cq_head;
	uint64_t now = 0;

	if (head == tail)
		return;
	if (unlikely(core->times))
		now = pirn_core_time(core);
	core->in_flight -= tail - head;
	core->stats.completed += tail - head;
	do {
		const struct pirn_cqe *cqe = &k->cq[head & k->cq_mask];

		if (unlikely(cqe->cookie & 1))
			join_ended(core, k, cqe, now);
		else
			op_ended(core, cqe, now);
	} while (++head != tail);
	k->cq_head = head;
	/* (D) */
	__atomic_store_n(&k->ring->cq_head, head, __ATOMIC_RELEASE);
}

static void kmod_wake(struct pirn_core *core)
{
	struct kmod *k = core->backend;

	if (ioctl(k->channel, PIRN_IOC_NOTIFY, 0))
		pirn_panic("pirn: NOTIFY of core %u: %s", core->index,
			   strerror(errno));
}

const struct pirn_backend_ops pirn_kmod_ops = {
	.name = "kmod",
	.probe = pirn_kmod_probe,
	.cpus = pirn_host_cpus,
	.run = pirn_host_run,
	.core_start = pirn_kmod_core_start,
	.core_stop = pirn_kmod_core_stop,
	.pool_map = kmod_pool_map,
	.pool_unmap = kmod_pool_unmap,
	.pool_attach = kmod_pool_attach,
	.file_open = kmod_file_open,
	.file_close = pirn_host_close,
	.file_size = pirn_host_size,
	.file_truncate = pirn_host_truncate,
	.file_attach = kmod_file_attach,
	.file_detach = kmod_file_detach,
	.rename = pirn_host_rename,
	.unlink = pirn_host_unlink,
	.dir_sync = pirn_host_dir_sync,
	.queue = kmod_queue,
	.queue_join = kmod_queue_join,
	.enter = kmod_enter,
	.ready = kmod_ready,
	.reap = kmod_reap,
	.wake = kmod_wake,
	.now = pirn_host_now,
	.seed = pirn_host_seed,
};
