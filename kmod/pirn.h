/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private structures of the pirn module, and who may call what.
 *
 * Lock order: pirn_stats_mutex, then pirn_channel.lock, then the channel's
 * wait queue.  No pirn lock is held across submit_bio(), blk_finish_plug() or
 * a call into a file, because those may complete ops, which takes
 * pirn_channel.lock, in this very thread.
 */
#ifndef PIRN_H
#define PIRN_H

#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/user.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/pirn.h>
#include <linux/pirn_histogram.h>

#include "compat.h"
#include "join_ops.h"
#include "ring_ops.h"

/*
 * A pool: memory that IO uses, pinned from creation until the last reference.
 * Immutable but for the count.  References are held by the pool's file and by
 * each attachment, so the last one always goes in process context.
 */
struct pirn_pool {
	refcount_t		ref;
	bool			user;		/* pinned, not allocated */
	int			node;		/* NUMA_NO_NODE for a user pool */
	u32			nr_runs;
	unsigned long		nr_pages;
	u64			bytes;
	/*
	 * The pages in order, and the same memory as runs of physically
	 * contiguous pages.  run_of[] names the run of each page,
	 * run_start[] the first page of each run.
	 */
	struct page		**pages;
	u32			*run_of;
	u32			*run_start;
	struct bio_vec		*runs;
	struct user_struct	*charged;
	unsigned long		charged_pages;
};

/*
 * The part of a pool an op moves, as bio_vecs: nr of them from bvec, the first
 * one to be entered skip bytes in.
 */
struct pirn_span {
	struct bio_vec		*bvec;
	u32			nr;
	u32			skip;
};

/* Newest first in a channel's done, oldest first in a target's waiting. */
struct pirn_op_list {
	struct pirn_op		*head;
	struct pirn_op		*tail;		/* valid when head is */
};

/*
 * An attached target or pool.  issued is written by the thread that submits,
 * done under pirn_channel.lock; with no submitter and both equal, no op uses
 * it.
 */
struct pirn_target {
	struct file		*file;
	struct block_device	*bdev;		/* NULL: all ops are for file.c */
	struct address_space	*mapping;	/* of file: the page cache */
	dev_t			dev;		/* the device, or that of the file */
	u32			block_mask;	/* at ATTACH: offset and len, */
	u32			memory_mask;	/* and pool offset */
	u64			bytes;		/* at ATTACH */
	u32			issued;
	u32			done;
	/* worker.c, under pirn_channel.lock. */
	u32			working;	/* ops that the worker has */
	struct pirn_op_list	waiting;	/* for one of these to be done */
	refcount_t		refs;		/* the table's, and of these ops */
};

struct pirn_pool_slot {
	struct pirn_pool	*pool;
	u32			issued;
	u32			done;
};

/*
 * On whose behalf an op is done when a worker has to do it.  A channel has one
 * for its latest ENTER, and retired ones that ops in flight still refer to.
 * Counted like a target; freed by ENTER or with the channel, never from an
 * interrupt.
 */
struct pirn_ident {
	const struct cred		*cred;
	struct cgroup_subsys_state	*blkcg;		/* where IO counts */
	struct cgroup_subsys_state	*memcg;		/* and memory */
	int				ioprio;
	u32				issued;
	u32				done;
	struct list_head		retired;
};

/*
 * A join, from its JOIN to its DRAINED; all are allocated with the channel.  It
 * has a credit for each member in flight, and for each CQE it still owes.
 */
struct pirn_join {
	struct pirn_join	*next;		/* while free */
	u64			cookie;
	u32			first;		/* result slot */
	struct pirn_join_state	state;
};

/* In pirn_op.sqe_flags, where no SQE has it: O_APPEND as the submitter found it. */
#define PIRN_OP_APPENDS		BIT(15)

/*
 * One IO request, from the SQE to the CQE.  All are allocated with the channel.
 * An op belongs to the submitter until it is handed to the block layer or to
 * the worker, and to whoever completes it from then on; the private copy of the
 * SQE in it is what everybody reads.
 */
struct pirn_op {
	struct pirn_op		*next;		/* while free */
	struct pirn_channel	*channel;
	/* As in the SQE, from here to mode: pirn_op_copy(). */
	union {
		u64		head;
		struct {
			u8	code;
			u8	resv0;
			u16	sqe_flags;	/* and PIRN_OP_APPENDS */
			u16	target_index;
			u16	slot_index;
		};
	};
	u64			cookie;
	u64			offset;
	union {
		u64		pool_offset;
		u64		bytes;		/* of FALLOCATE and DISCARD */
	};
	union {
		u64		len_threshold;
		struct {
			u32	len;		/* of the IO, clipped */
			union {
				u32	threshold;	/* of a JOIN */
				u32	mode;		/* of FALLOCATE */
			};
		};
	};
	u32			result;		/* of a member: its slot */
	bool			nowait;		/* the attempt is not to wait */
	bool			written;	/* only what is cached is left to do */
	struct pirn_join	*join;		/* or NULL */
	u64			began;		/* ns; 0: has no times, or was refused */
	/* NULL until validated; what completion counts in done. */
	struct pirn_target	*target;
	struct pirn_pool_slot	*slot;

	struct pirn_ident	*ident;
	struct bio_vec		bvec;		/* an IO within one run */
	struct work_struct	work;
	union {					/* one attempt has one of them */
		struct {		/* file.c */
			struct kiocb	iocb;
			atomic_t	holds;
			s32		ended;
		};
		struct bio	bio;		/* last: ends in a flexible array */
	};
} ____cacheline_aligned;

/* What sysfs shows of a channel; under pirn_channel.lock. */
struct pirn_counters {
	u64			submitted;
	u64			completed;
	u64			failed;
	u64			bytes_read;
	u64			bytes_written;
	u64			in_flight;	/* only in what sysfs adds up */
	u64			enters;
	u64			wakeups;
	u64			remote_completions;
	u64			worker_punts;
	u64			slow_submits;
	u64			joins;
	u64			preemptions;
	u64			run_delay_ns;
};

/* What the scheduler had counted of the thread that last called ENTER. */
struct pirn_sample {
	const struct task_struct *task;		/* may be gone: only compared */
	u64			start;		/* tells it from one in its place */
	unsigned long		nivcsw;
	u64			run_delay;
};

/* An ENTER asleep, on its stack.  The rest is written under pirn_channel.lock. */
struct pirn_waiter {
	struct task_struct	*task;
	bool			woken;
	bool			notified;	/* by a NOTIFY */
};

/* What a wait of ENTER may end for, besides CQEs and NOTIFY. */
struct pirn_until {
	u64			deadline;	/* ns, CLOCK_MONOTONIC of the caller; 0: none */
	struct file		*watch;		/* or NULL */
};

/* Pages shared with user space through mmap(). */
struct pirn_pages {
	struct page		**pages;
	unsigned long		nr;
};

struct pirn_channel {
	/* Written at creation, and by ATTACH and DETACH. */
	struct pirn_ring_header	*header;
	struct pirn_sqe		*sq;
	struct pirn_cqe		*cq;
	struct pirn_cqe		*results;
	u32			nr_results;
	u32			sq_entries;
	u32			cq_entries;
	u32			cpu;
	bool			times;		/* PIRN_CHANNEL_TIMES */
	struct mm_struct	*mm;		/* of the first ENTER */
	s64			time_offset;	/* ns, of its clock to the host's */
	struct pirn_target	**targets;
	struct pirn_pool_slot	**slots;

	/* Written by the submitter: the thread named in submitter. */
	struct pirn_op		*free ____cacheline_aligned;
	struct pirn_op		*issuing;	/* inside submit_bio() */
	bool			again;		/* it said EAGAIN */
	u32			sq_head;
	u32			credits;	/* in hand */
	struct pirn_ident	*ident;
	struct list_head	retired_idents;
	u64			began;		/* this ENTER, ns, with times */
	struct blk_plug		plug;		/* on the stack it would be zeroed each time */
	/* Of the join whose members are being consumed, or NULL. */
	struct pirn_join	*joining;
	u32			members_left;
	u32			next_result;

	/*
	 * Protects what follows, and the targets and slots arrays against
	 * other writers.
	 */
	spinlock_t		lock ____cacheline_aligned;
	u32			cq_tail;
	u32			in_flight;	/* CQ entries reserved */
	u32			join_entries;	/* of these, for CQEs of joins */
	struct pirn_join	*free_joins;
	unsigned long		*result_map;	/* slots of joins not drained */
	u64			*histogram;	/* of device times, or NULL */
	bool			dead;		/* released */
	bool			notified;	/* a NOTIFY nobody consumed yet */
	bool			listened;	/* there may be whom to wake */
	struct pirn_op_list	done;		/* ops to go back to free */
	struct pirn_waiter	*waiter;	/* in ENTER, asleep */
	struct task_struct	*submitter;	/* in ENTER, submitting */
	wait_queue_head_t	poll_wait;
	struct pirn_counters	counters;
	struct pirn_sample	sample;
	unsigned long		*target_map;	/* indices taken or reserved */
	unsigned long		*slot_map;

	/* Cold. */
	struct pirn_op		*ops;
	struct pirn_join	*joins;
	u32			nr_joins;
	struct pirn_pages	ring;
	u64			mmap_bytes;
	struct user_struct	*charged;
	unsigned long		charged_pages;
	struct list_head	stats_link;	/* pirn_stats_mutex */
	pid_t			pid;		/* who made it, for debug.c; may be gone */
	char			comm[TASK_COMM_LEN];
	struct workqueue_struct	*worker;	/* for ops that may block */
	struct work_struct	free_work;
	struct work_struct	drop_work;	/* when closed: what is idle */
};

/* main.c */
extern struct workqueue_struct *pirn_free_wq;	/* what closed channels let go */

/* ctl.c: process context */
long pirn_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long pirn_channel_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
#ifdef CONFIG_COMPAT
long pirn_dev_compat_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg);
long pirn_channel_compat_ioctl(struct file *file, unsigned int cmd,
			       unsigned long arg);
#else
#define pirn_dev_compat_ioctl		NULL
#define pirn_channel_compat_ioctl	NULL
#endif

/* channel.c: process context */
extern const struct file_operations pirn_channel_fops;
struct file *pirn_channel_create(struct pirn_channel_create *arg);
void pirn_channel_queue_free(struct pirn_channel *ch);	/* any context */
void pirn_channel_queue_drop(struct pirn_channel *ch);	/* any, under ch->lock */

/* attach.c: process context */
struct pirn_target *pirn_target_prepare(struct pirn_channel *ch,
					struct pirn_target_attach *arg);
void pirn_target_commit(struct pirn_channel *ch, u32 index,
			struct pirn_target *target);
void pirn_target_abort(struct pirn_channel *ch, u32 index,
		       struct pirn_target *target);
int pirn_target_detach(struct pirn_channel *ch, u32 index);
void pirn_target_put(struct pirn_target *target);
struct pirn_pool_slot *pirn_slot_prepare(struct pirn_channel *ch,
					 struct pirn_pool_attach *arg);
void pirn_slot_commit(struct pirn_channel *ch, u32 index,
		      struct pirn_pool_slot *slot);
void pirn_slot_abort(struct pirn_channel *ch, u32 index,
		     struct pirn_pool_slot *slot);
int pirn_slot_detach(struct pirn_channel *ch, u32 index);
int pirn_tables_alloc(struct pirn_channel *ch);
void pirn_tables_drop_idle(struct pirn_channel *ch);
void pirn_tables_free(struct pirn_channel *ch);		/* drops what is in */

/* pool.c: process context */
u64 pirn_pool_max_bytes(void);
struct file *pirn_pool_create(struct pirn_pool_create *arg);
struct pirn_pool *pirn_pool_get_fd(int fd);
void pirn_pool_put(struct pirn_pool *pool);

/* memory.c: process context */
int pirn_charge(struct user_struct *user, unsigned long nr_pages);
void pirn_uncharge(struct user_struct *user, unsigned long nr_pages);
int pirn_mmap_pages(struct vm_area_struct *vma, struct page **pages,
		    unsigned long nr_pages);

/* enter.c: process context, the channel's file held */
long pirn_enter(struct pirn_channel *ch, u32 to_submit,
		const struct pirn_until *until);

/* submit.c: the submitter */
u32 pirn_submit(struct pirn_channel *ch, u32 asked);

/*
 * What pool offsets are multiples of, less one.  The device's own demand, and a
 * block: the file's path wants every piece of memory to be blocks too.
 */
static inline u32 pirn_memory_mask(struct block_device *bdev)
{
	return bdev_dma_alignment(bdev) | (bdev_logical_block_size(bdev) - 1);
}

/* join.c */
int pirn_joins_alloc(struct pirn_channel *ch, int node); /* process context */
void pirn_joins_free(struct pirn_channel *ch);
u64 pirn_joins_bytes(const struct pirn_channel *ch);
int pirn_join_open(struct pirn_op *op, u32 asked);	/* the submitter */
u32 pirn_join_end(struct pirn_op *op, s32 res, u64 device,
		  u64 published);		/* any, ch->lock */

/* block.c */
bool pirn_block_issue(struct pirn_op *op);		/* the submitter; no read */
bool pirn_block_retry(struct pirn_op *op);		/* worker */
void pirn_block_written(struct pirn_op *op);		/* worker */

/*
 * Pages cached by somebody who opened the device without O_DIRECT.  Only an op
 * that meets one needs the file's own path; one look of udev at a partition
 * table must not cost all the others anything.
 */
static __always_inline bool pirn_cached(const struct pirn_op *op)
{
	struct address_space *mapping = op->target->mapping;

	return unlikely(READ_ONCE(mapping->nrpages)) &&
	       filemap_range_has_page(mapping, op->offset,
				      op->offset + op->len - 1);
}

/* file.c */
void pirn_file_issue(struct pirn_op *op);		/* the submitter */
void pirn_file_work(struct pirn_op *op);		/* worker */

/* worker.c */
int pirn_ident_update(struct pirn_channel *ch);		/* the submitter */
void pirn_ident_free_all(struct pirn_channel *ch);	/* process context */
void pirn_punt(struct pirn_op *op);			/* any context */
void pirn_punt_submitted(struct pirn_op *op);		/* the submitter */
void pirn_op_work(struct work_struct *work);		/* worker */

/* Now, as the process that uses the channel reads CLOCK_MONOTONIC.  Any context. */
static inline u64 pirn_now(const struct pirn_channel *ch)
{
	return ktime_get_ns() + ch->time_offset;
}

/* complete.c: any context, no pirn lock held */
void pirn_end(struct pirn_op *op, s32 res);
void pirn_end_timed(struct pirn_op *op, s32 res);
void pirn_refuse(struct pirn_op *op, s32 res);

/*
 * Ends op with res: bytes, 0 or a negative errno.  Any context.  The op is no
 * longer the caller's, and the channel may be gone.
 */
static inline void pirn_complete(struct pirn_op *op, s32 res)
{
	if (unlikely(op->channel->times))
		pirn_end_timed(op, res);
	else
		pirn_end(op, res);
}

/* wait.c */
void pirn_wake_up(struct pirn_channel *ch);		/* any, under ch->lock */
struct file *pirn_watch_get(int fd);			/* process context */
unsigned int pirn_wait(struct pirn_channel *ch,		/* drops ch->lock */
		       const struct pirn_until *until)
	__releases(&ch->lock);
void pirn_notify(struct pirn_channel *ch);		/* process context */
__poll_t pirn_poll(struct file *file, struct poll_table_struct *table);

/* stats.c: process context */
extern const struct attribute_group **pirn_stats_groups;
int pirn_stats_init(void);
void pirn_stats_exit(void);
void pirn_stats_add(struct pirn_channel *ch);
void pirn_stats_remove(struct pirn_channel *ch);
void pirn_stats_device_times(u32 cpu, u64 *sum);	/* adds to sum */
void pirn_stats_each_channel(void (*show)(struct seq_file *m,
					  struct pirn_channel *ch),
			     struct seq_file *m);

/* debug.c: process context */
void pirn_debug_init(void);
void pirn_debug_exit(void);

/* Whether the memory of op, which is not empty, lies in one page. */
static inline bool pirn_op_in_page(const struct pirn_op *op)
{
	return offset_in_page(op->pool_offset) + op->len <= PAGE_SIZE;
}

/*
 * Describes the memory of op.  Any context; the caller has checked that the
 * range lies in the pool and is not empty.  Inline, because every op comes by.
 *
 * What lies in one run, and that is nearly everything, is described by a
 * bio_vec of its own that starts in the very page, although the pool's table
 * has those bytes too: the block layer skips the walk of its split logic for a
 * bio whose only bio_vec ends within its first page, and drivers have short
 * paths for a small bio_vec (nvme_setup_prp_simple()), both of which look at
 * the bio_vec in the table and not at the part of it that is meant.  What
 * crosses runs points into the table.
 */
static inline struct pirn_span pirn_pool_span(const struct pirn_pool *pool,
					      struct pirn_op *op)
{
	unsigned long first = op->pool_offset >> PAGE_SHIFT;
	unsigned long last = (op->pool_offset + op->len - 1) >> PAGE_SHIFT;
	u32 run;

	if (likely(pirn_op_in_page(op) ||
		   pool->run_of[first] == pool->run_of[last])) {
		op->bvec.bv_page = pool->pages[first];
		op->bvec.bv_offset = offset_in_page(op->pool_offset);
		op->bvec.bv_len = op->len;
		return (struct pirn_span) { .bvec = &op->bvec, .nr = 1 };
	}
	run = pool->run_of[first];
	return (struct pirn_span) {
		.bvec = &pool->runs[run],
		.nr = pool->run_of[last] - run + 1,
		.skip = op->pool_offset -
			((u64)pool->run_start[run] << PAGE_SHIFT),
	};
}

/* Wakes who waits for the channel, if anybody does.  Any context, under ch->lock. */
static inline void pirn_wake(struct pirn_channel *ch)
{
	/*
	 * Without a barrier, because pirn_poll() queues itself before it takes
	 * the lock to look and to say so here: either it sees what we just did
	 * under the lock, or we see it queued.
	 */
	if (unlikely(ch->listened))
		pirn_wake_up(ch);
}

/* A READ or WRITE: has a slot. */
static inline bool pirn_op_moves_data(const struct pirn_op *op)
{
	return op->code == PIRN_OP_READ || op->code == PIRN_OP_WRITE;
}

/* Whether the memory of a READ or WRITE is there. */
static inline int pirn_check_memory(const struct pirn_op *op)
{
	u64 bytes = op->slot->pool->bytes;

	if (unlikely(!op->len || op->len > PIRN_MAX_IO_BYTES))
		return -EINVAL;
	if (unlikely(op->pool_offset > bytes ||
		     op->len > bytes - op->pool_offset))
		return -EFAULT;
	return 0;
}

#endif /* PIRN_H */
