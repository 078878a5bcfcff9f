// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: before the first read.  The module comes and goes here, /dev/pirn is
 * registered, and the layout of everything user space sees is asserted.
 * Called by the module loader; open and ioctl on /dev/pirn go on to ctl.c.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

/* No hole in what user space sees: with the offsets below, that fixes sizes. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#include <linux/pirn.h>
#pragma GCC diagnostic pop

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "pirn.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *pirn_free_wq;

/*
 * The ABI.  A failure here means that a program compiled earlier would
 * misunderstand the module: add at the end instead, never move.
 */
#define PIRN_FIELD(type, field, offset)					\
	static_assert(offsetof(struct type, field) == (offset))

static_assert(sizeof(struct pirn_query) == 64);
PIRN_FIELD(pirn_query, size, 0);
PIRN_FIELD(pirn_query, abi_version, 4);
PIRN_FIELD(pirn_query, features, 8);
PIRN_FIELD(pirn_query, op_mask, 16);
PIRN_FIELD(pirn_query, sqe_flags, 24);
PIRN_FIELD(pirn_query, max_pool_bytes, 32);
PIRN_FIELD(pirn_query, max_sq_entries, 40);
PIRN_FIELD(pirn_query, max_cq_entries, 44);
PIRN_FIELD(pirn_query, max_targets, 48);
PIRN_FIELD(pirn_query, max_pools, 52);
PIRN_FIELD(pirn_query, max_io_bytes, 56);
PIRN_FIELD(pirn_query, max_results, 60);

static_assert(sizeof(struct pirn_channel_create) == 32);
PIRN_FIELD(pirn_channel_create, size, 0);
PIRN_FIELD(pirn_channel_create, flags, 4);
PIRN_FIELD(pirn_channel_create, sq_entries, 8);
PIRN_FIELD(pirn_channel_create, cq_entries, 12);
PIRN_FIELD(pirn_channel_create, cpu, 16);
PIRN_FIELD(pirn_channel_create, results, 20);
PIRN_FIELD(pirn_channel_create, mmap_bytes, 24);

static_assert(sizeof(struct pirn_pool_create) == 32);
PIRN_FIELD(pirn_pool_create, size, 0);
PIRN_FIELD(pirn_pool_create, flags, 4);
PIRN_FIELD(pirn_pool_create, bytes, 8);
PIRN_FIELD(pirn_pool_create, addr, 16);
PIRN_FIELD(pirn_pool_create, node, 24);
PIRN_FIELD(pirn_pool_create, segments, 28);

static_assert(sizeof(struct pirn_target_attach) == 32);
PIRN_FIELD(pirn_target_attach, size, 0);
PIRN_FIELD(pirn_target_attach, flags, 4);
PIRN_FIELD(pirn_target_attach, fd, 8);
PIRN_FIELD(pirn_target_attach, index, 12);
PIRN_FIELD(pirn_target_attach, bytes, 16);
PIRN_FIELD(pirn_target_attach, block_bytes, 24);
PIRN_FIELD(pirn_target_attach, memory_align, 28);

static_assert(sizeof(struct pirn_target_detach) == 8);
PIRN_FIELD(pirn_target_detach, size, 0);
PIRN_FIELD(pirn_target_detach, index, 4);

static_assert(sizeof(struct pirn_pool_attach) == 24);
PIRN_FIELD(pirn_pool_attach, size, 0);
PIRN_FIELD(pirn_pool_attach, flags, 4);
PIRN_FIELD(pirn_pool_attach, fd, 8);
PIRN_FIELD(pirn_pool_attach, index, 12);
PIRN_FIELD(pirn_pool_attach, bytes, 16);

static_assert(sizeof(struct pirn_pool_detach) == 8);
PIRN_FIELD(pirn_pool_detach, size, 0);
PIRN_FIELD(pirn_pool_detach, index, 4);

static_assert(sizeof(struct pirn_enter) == 24);
PIRN_FIELD(pirn_enter, size, 0);
PIRN_FIELD(pirn_enter, flags, 4);
PIRN_FIELD(pirn_enter, to_submit, 8);
PIRN_FIELD(pirn_enter, watch, 12);
PIRN_FIELD(pirn_enter, deadline, 16);

static_assert(sizeof(struct pirn_sqe) == 64);
PIRN_FIELD(pirn_sqe, op, 0);
PIRN_FIELD(pirn_sqe, resv0, 1);
PIRN_FIELD(pirn_sqe, flags, 2);
PIRN_FIELD(pirn_sqe, target, 4);
PIRN_FIELD(pirn_sqe, pool, 6);
PIRN_FIELD(pirn_sqe, cookie, 8);
PIRN_FIELD(pirn_sqe, offset, 16);
PIRN_FIELD(pirn_sqe, pool_offset, 24);
PIRN_FIELD(pirn_sqe, bytes, 24);
PIRN_FIELD(pirn_sqe, len, 32);
PIRN_FIELD(pirn_sqe, threshold, 36);
PIRN_FIELD(pirn_sqe, mode, 36);
PIRN_FIELD(pirn_sqe, resv1, 40);

static_assert(sizeof(struct pirn_cqe) == 32);
PIRN_FIELD(pirn_cqe, cookie, 0);
PIRN_FIELD(pirn_cqe, res, 8);
PIRN_FIELD(pirn_cqe, flags, 12);
PIRN_FIELD(pirn_cqe, device, 16);
PIRN_FIELD(pirn_cqe, published, 24);

static_assert(sizeof(struct pirn_ring_header) == 256);
PIRN_FIELD(pirn_ring_header, magic, 0);
PIRN_FIELD(pirn_ring_header, version, 4);
PIRN_FIELD(pirn_ring_header, header_bytes, 8);
PIRN_FIELD(pirn_ring_header, sq_offset, 12);
PIRN_FIELD(pirn_ring_header, sq_entries, 16);
PIRN_FIELD(pirn_ring_header, cq_offset, 20);
PIRN_FIELD(pirn_ring_header, cq_entries, 24);
PIRN_FIELD(pirn_ring_header, cpu, 28);
PIRN_FIELD(pirn_ring_header, mmap_bytes, 32);
PIRN_FIELD(pirn_ring_header, results_offset, 40);
PIRN_FIELD(pirn_ring_header, results, 44);
PIRN_FIELD(pirn_ring_header, flags, 48);
PIRN_FIELD(pirn_ring_header, resv0, 52);
PIRN_FIELD(pirn_ring_header, sq_head, 64);
PIRN_FIELD(pirn_ring_header, resv1, 68);
PIRN_FIELD(pirn_ring_header, cq_tail, 128);
PIRN_FIELD(pirn_ring_header, resv2, 132);
PIRN_FIELD(pirn_ring_header, cq_head, 192);
PIRN_FIELD(pirn_ring_header, resv3, 196);

/* All constants: tests/static finds one that is missing. */
#define PIRN_VALUE(name, value)						\
	static_assert((name) == (value), #name)

PIRN_VALUE(PIRN_ABI_VERSION, 1);
PIRN_VALUE(PIRN_RING_MAGIC, 0x4e524950);
PIRN_VALUE(PIRN_RING_VERSION, 1);

PIRN_VALUE(PIRN_IOC_TYPE, 0xbd);
PIRN_VALUE(PIRN_IOC_QUERY, 0xbd00);
PIRN_VALUE(PIRN_IOC_CHANNEL_CREATE, 0xbd01);
PIRN_VALUE(PIRN_IOC_POOL_CREATE, 0xbd02);
PIRN_VALUE(PIRN_IOC_ENTER, 0xbd10);
PIRN_VALUE(PIRN_IOC_ENTER_UNTIL, 0xbd11);
PIRN_VALUE(PIRN_IOC_NOTIFY, 0xbd12);
PIRN_VALUE(PIRN_IOC_TARGET_ATTACH, 0xbd13);
PIRN_VALUE(PIRN_IOC_TARGET_DETACH, 0xbd14);
PIRN_VALUE(PIRN_IOC_POOL_ATTACH, 0xbd15);
PIRN_VALUE(PIRN_IOC_POOL_DETACH, 0xbd16);

PIRN_VALUE(PIRN_MAX_SQ_ENTRIES, 4096);
PIRN_VALUE(PIRN_MAX_CQ_ENTRIES, 16384);
PIRN_VALUE(PIRN_MAX_TARGETS, 1024);
PIRN_VALUE(PIRN_MAX_POOLS, 256);
PIRN_VALUE(PIRN_MAX_POOL_BYTES, 1ull << 40);
PIRN_VALUE(PIRN_MAX_IO_BYTES, 1 << 24);
PIRN_VALUE(PIRN_MAX_RESULTS, 16384);

PIRN_VALUE(PIRN_FEATURE_TIMES, 1);
PIRN_VALUE(PIRN_CHANNEL_TIMES, 1);
PIRN_VALUE(PIRN_POOL_USER, 1);

PIRN_VALUE(PIRN_ENTER_COUNT_MASK, 0xffff);
PIRN_VALUE(PIRN_ENTER_WAIT, 1 << 16);
PIRN_VALUE(PIRN_ENTER_WATCH, 1 << 17);
PIRN_VALUE(PIRN_ENDED_CQE, 1 << 16);
PIRN_VALUE(PIRN_ENDED_NOTIFY, 1 << 17);
PIRN_VALUE(PIRN_ENDED_WATCH, 1 << 18);
PIRN_VALUE(PIRN_ENDED_DEADLINE, 1 << 19);
PIRN_VALUE(PIRN_ENDED_SIGNAL, 1 << 20);

PIRN_VALUE(PIRN_OP_NOP, 0);
PIRN_VALUE(PIRN_OP_READ, 1);
PIRN_VALUE(PIRN_OP_WRITE, 2);
PIRN_VALUE(PIRN_OP_FSYNC, 3);
PIRN_VALUE(PIRN_OP_JOIN, 4);
PIRN_VALUE(PIRN_OP_FDATASYNC, 5);
PIRN_VALUE(PIRN_OP_FALLOCATE, 6);
PIRN_VALUE(PIRN_OP_DISCARD, 7);

PIRN_VALUE(PIRN_SQE_DSYNC, 1);
PIRN_VALUE(PIRN_SQE_NOMERGE, 2);
PIRN_VALUE(PIRN_SQE_ATOMIC, 4);

PIRN_VALUE(PIRN_CQE_THRESHOLD, 1);
PIRN_VALUE(PIRN_CQE_DRAINED, 2);
PIRN_VALUE(PIRN_CQE_DONE, 4);

PIRN_VALUE(PIRN_HISTOGRAM_SHIFT, 3);
PIRN_VALUE(PIRN_HISTOGRAM_PARTS, 8);
PIRN_VALUE(PIRN_HISTOGRAM_BUCKETS, 496);

static_assert(PIRN_MAX_SQ_ENTRIES <= PIRN_ENTER_COUNT_MASK);
/* A span of the longest IO counts its bio_vecs in 16 bits, as a bio does. */
static_assert(PIRN_MAX_IO_BYTES / PAGE_SIZE + 1 <= U16_MAX);

static const struct file_operations pirn_dev_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= pirn_dev_ioctl,
	.compat_ioctl	= pirn_dev_compat_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice pirn_dev = {
	.minor		= MISC_DYNAMIC_MINOR,
	.name		= "pirn",
	.fops		= &pirn_dev_fops,
	.mode		= 0660,
};

static int __init pirn_init(void)
{
	int err;

	pirn_free_wq = alloc_workqueue("pirn_free", WQ_UNBOUND, 0);
	if (!pirn_free_wq)
		return -ENOMEM;
	err = pirn_stats_init();
	if (err)
		goto destroy_free;
	/* The groups are there when udev hears of the device. */
	pirn_dev.groups = pirn_stats_groups;
	err = misc_register(&pirn_dev);
	if (err)
		goto exit_stats;
	pirn_debug_init();
	return 0;

exit_stats:
	pirn_stats_exit();
destroy_free:
	destroy_workqueue(pirn_free_wq);
	return err;
}

/*
 * Every file and every channel holds a reference to the module, a channel until
 * its memory is freed, so nothing is alive here.  What can still be running is
 * the last instructions of those who let go:
 *
 * - a work item, after the channel was gone: destroy_workqueue() waits until it
 *   has returned;
 * - bi_end_io, after it queued the free of the channel: in an interrupt or with
 *   preemption off free_module() waits for it with its RCU grace period, and
 *   preempted in a thread synchronize_rcu_tasks() does, for that thread has not
 *   gone to sleep by itself since.
 */
static void __exit pirn_exit(void)
{
	misc_deregister(&pirn_dev);
	pirn_debug_exit();
	destroy_workqueue(pirn_free_wq);
	synchronize_rcu_tasks();
	pirn_stats_exit();
}

module_init(pirn_init);
module_exit(pirn_exit);

MODULE_DESCRIPTION("Per-core IO completion channels and pinned memory pools");
MODULE_AUTHOR("The pirn authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
