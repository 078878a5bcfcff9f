// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: before the first read and after the last.  A channel is created, mapped
 * and freed here.  Called by ctl.c (create) and through the channel's file;
 * complete.c calls when ops of a released channel end.
 */
#include <linux/anon_inodes.h>
#include <linux/cpumask.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/vmalloc.h>

#include "pirn.h"

/*
 * Lifetime.  A channel is alive while its file is (descriptors, mappings and
 * calls hold that) and, after that, while an op is in flight.  Release says so
 * under the lock; whoever then finds in_flight at zero, release or the last
 * completion, is alone with the channel and frees it.  Nobody else can be
 * behind the lock: an earlier completion has only the unlock itself left, and a
 * spinlock may be freed by its next owner.
 */

/* Where memory of a channel is asked for; a cpuset without that node has the last word. */
static int pirn_node_of(u32 cpu)
{
	int node = cpu_to_node(cpu);

	return node != NUMA_NO_NODE && node_online(node) ? node : NUMA_NO_NODE;
}

static void pirn_ring_free(struct pirn_channel *ch)
{
	unsigned long i;

	vunmap(ch->header);
	if (ch->ring.pages)
		for (i = 0; i < ch->ring.nr; i++)
			put_page(ch->ring.pages[i]);
	kvfree(ch->ring.pages);
}

/* On failure the caller calls pirn_ring_free(). */
static int pirn_ring_alloc(struct pirn_channel *ch, int node)
{
	unsigned long nr = ch->mmap_bytes >> PAGE_SHIFT;
	struct page *page;

	ch->ring.pages = kvcalloc(nr, sizeof(*ch->ring.pages),
				  GFP_KERNEL_ACCOUNT);
	if (!ch->ring.pages)
		return -ENOMEM;
	while (ch->ring.nr < nr) {
		page = alloc_pages_node(node, GFP_USER | __GFP_ACCOUNT |
					__GFP_ZERO | __GFP_NOWARN, 0);
		if (!page)
			return -ENOMEM;
		ch->ring.pages[ch->ring.nr++] = page;
	}
	ch->header = vmap(ch->ring.pages, nr, VM_MAP, PAGE_KERNEL);
	return ch->header ? 0 : -ENOMEM;
}

static void pirn_ring_layout(struct pirn_channel *ch)
{
	u32 sq_offset = sizeof(struct pirn_ring_header);
	u32 cq_offset = sq_offset + ch->sq_entries * sizeof(struct pirn_sqe);
	u32 results_offset =
		cq_offset + ch->cq_entries * sizeof(struct pirn_cqe);

	ch->sq = (void *)ch->header + sq_offset;
	ch->cq = (void *)ch->header + cq_offset;
	ch->results = (void *)ch->header + results_offset;
	*ch->header = (struct pirn_ring_header) {
		.magic		= PIRN_RING_MAGIC,
		.version	= PIRN_RING_VERSION,
		.header_bytes	= sizeof(struct pirn_ring_header),
		.sq_offset	= sq_offset,
		.sq_entries	= ch->sq_entries,
		.cq_offset	= cq_offset,
		.cq_entries	= ch->cq_entries,
		.cpu		= ch->cpu,
		.mmap_bytes	= ch->mmap_bytes,
		.results_offset	= results_offset,
		.results	= ch->nr_results,
		.flags		= ch->times ? PIRN_CHANNEL_TIMES : 0,
	};
}

/*
 * One op for each CQ entry: an op in flight has reserved one, so an admitted
 * SQE always finds an op.
 */
static int pirn_ops_alloc(struct pirn_channel *ch, int node)
{
	struct pirn_op *op;
	u32 i;

	ch->ops = kvmalloc_node(array_size(ch->cq_entries, sizeof(*ch->ops)),
				GFP_KERNEL_ACCOUNT | __GFP_ZERO, node);
	if (!ch->ops)
		return -ENOMEM;
	for (i = ch->cq_entries; i; i--) {
		op = &ch->ops[i - 1];
		op->channel = ch;
		INIT_WORK(&op->work, pirn_op_work);
		op->next = ch->free;
		ch->free = op;
	}
	return 0;
}

/* Process context; takes a channel in any state of construction. */
static void pirn_channel_free(struct pirn_channel *ch)
{
	/* Its last work may still be on the way out. */
	if (ch->worker)
		destroy_workqueue(ch->worker);
	pirn_tables_free(ch);
	pirn_ident_free_all(ch);
	kvfree(ch->ops);
	pirn_joins_free(ch);
	kvfree(ch->histogram);
	pirn_ring_free(ch);
	if (ch->mm)
		mmdrop(ch->mm);
	if (ch->charged_pages)
		pirn_uncharge(ch->charged, ch->charged_pages);
	free_uid(ch->charged);
	kfree(ch);
}

/* Frees a channel that was alive; the module may go when this returns. */
static void pirn_channel_destroy(struct pirn_channel *ch)
{
	cancel_work_sync(&ch->drop_work);
	pirn_stats_remove(ch);
	pirn_channel_free(ch);
	module_put(THIS_MODULE);
}

static void pirn_channel_free_work(struct work_struct *work)
{
	pirn_channel_destroy(container_of(work, struct pirn_channel, free_work));
}

void pirn_channel_queue_free(struct pirn_channel *ch)
{
	queue_work(pirn_free_wq, &ch->free_work);
}

static void pirn_channel_drop_work(struct work_struct *work)
{
	pirn_tables_drop_idle(container_of(work, struct pirn_channel, drop_work));
}

/* The lock keeps the last op, and with it the free, from coming in between. */
void pirn_channel_queue_drop(struct pirn_channel *ch)
{
	lockdep_assert_held(&ch->lock);

	queue_work(pirn_free_wq, &ch->drop_work);
}

static int pirn_channel_release(struct inode *inode, struct file *file)
{
	struct pirn_channel *ch = file->private_data;
	bool last;

	spin_lock_irq(&ch->lock);
	last = !ch->in_flight;
	spin_unlock_irq(&ch->lock);
	/* Before the last op may free the channel. */
	if (!last)
		pirn_tables_drop_idle(ch);

	spin_lock_irq(&ch->lock);
	ch->dead = true;
	last = !ch->in_flight;
	spin_unlock_irq(&ch->lock);
	if (last)
		pirn_channel_destroy(ch);
	return 0;
}

static int pirn_channel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pirn_channel *ch = file->private_data;

	if (vma->vm_pgoff)
		return -EINVAL;
	return pirn_mmap_pages(vma, ch->ring.pages, ch->ring.nr);
}

static void pirn_channel_fdinfo(struct seq_file *m, struct file *file)
{
	struct pirn_channel *ch = file->private_data;
	u32 in_flight, targets, pools, slots;

	spin_lock_irq(&ch->lock);
	in_flight = ch->in_flight - ch->join_entries;
	slots = bitmap_weight(ch->result_map, ch->nr_results);
	targets = bitmap_weight(ch->target_map, PIRN_MAX_TARGETS);
	pools = bitmap_weight(ch->slot_map, PIRN_MAX_POOLS);
	spin_unlock_irq(&ch->lock);
	seq_printf(m, "pirn-cpu:\t%u\npirn-sq-entries:\t%u\npirn-cq-entries:\t%u\n",
		   ch->cpu, ch->sq_entries, ch->cq_entries);
	seq_printf(m, "pirn-in-flight:\t%u\npirn-targets:\t%u\npirn-pools:\t%u\n",
		   in_flight, targets, pools);
	seq_printf(m, "pirn-results:\t%u\npirn-results-in-use:\t%u\npirn-times:\t%u\n",
		   ch->nr_results, slots, ch->times);
}

const struct file_operations pirn_channel_fops = {
	.owner		= THIS_MODULE,
	.release	= pirn_channel_release,
	.unlocked_ioctl	= pirn_channel_ioctl,
	.compat_ioctl	= pirn_channel_compat_ioctl,
	.poll		= pirn_poll,
	.mmap		= pirn_channel_mmap,
	.show_fdinfo	= pirn_channel_fdinfo,
	.llseek		= noop_llseek,
};

static bool pirn_entries_ok(u32 entries, u32 max)
{
	return is_power_of_2(entries) && entries <= max;
}

static u64 pirn_histogram_bytes(const struct pirn_channel *ch)
{
	return ch->times ? PIRN_HISTOGRAM_BUCKETS * sizeof(*ch->histogram) : 0;
}

/*
 * Of one channel, on each memory node.  Threads are nobody's limit to hold, so they
 * are few: as many as a disk that queues in software makes use of, and four a CPU, as
 * io_uring has for files.
 */
static u32 pirn_workers_max(void)
{
	return max(64u, 4 * num_online_cpus());
}

static int pirn_channel_construct(struct pirn_channel *ch)
{
	int node = pirn_node_of(ch->cpu);
	u64 bytes;
	int err;

	ch->mmap_bytes = PAGE_ALIGN(sizeof(struct pirn_ring_header) +
				    ch->sq_entries * sizeof(struct pirn_sqe) +
				    (ch->cq_entries + ch->nr_results) *
				    sizeof(struct pirn_cqe));
	bytes = ch->mmap_bytes + ch->cq_entries * sizeof(*ch->ops) +
		pirn_joins_bytes(ch) + pirn_histogram_bytes(ch) +
		PIRN_MAX_TARGETS * sizeof(*ch->targets) +
		PIRN_MAX_POOLS * sizeof(*ch->slots) + sizeof(*ch);
	err = pirn_charge(ch->charged, DIV_ROUND_UP_ULL(bytes, PAGE_SIZE));
	if (err)
		return err;
	ch->charged_pages = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
	/*
	 * A queue of its own: ops stuck behind a hung device must not hold up
	 * other channels'.  Unbound: the CPU that submitted is busy with a core
	 * that does not yield.  No WQ_MEM_RECLAIM: reclaim does not depend on
	 * ops, and what ops call may flush queues without it.
	 */
	ch->worker = alloc_workqueue("pirn_io", WQ_UNBOUND | WQ_FREEZABLE,
				     pirn_wq_limit(min(ch->cq_entries,
						       pirn_workers_max())));
	if (!ch->worker)
		return -ENOMEM;
	err = pirn_ring_alloc(ch, node);
	if (err)
		return err;
	pirn_ring_layout(ch);
	err = pirn_ops_alloc(ch, node);
	if (err)
		return err;
	err = pirn_joins_alloc(ch, node);
	if (err)
		return err;
	if (ch->times) {
		ch->histogram = kvzalloc_node(pirn_histogram_bytes(ch),
					      GFP_KERNEL_ACCOUNT, node);
		if (!ch->histogram)
			return -ENOMEM;
	}
	return pirn_tables_alloc(ch);
}

/* Returns the channel's file, or an error pointer. */
struct file *pirn_channel_create(struct pirn_channel_create *arg)
{
	struct pirn_channel *ch;
	struct file *file;
	int err;

	if (arg->flags & ~PIRN_CHANNEL_TIMES || arg->results > PIRN_MAX_RESULTS)
		return ERR_PTR(-EINVAL);
	if (!pirn_entries_ok(arg->sq_entries, PIRN_MAX_SQ_ENTRIES) ||
	    !pirn_entries_ok(arg->cq_entries, PIRN_MAX_CQ_ENTRIES) ||
	    arg->cq_entries < arg->sq_entries)
		return ERR_PTR(-EINVAL);
	if (arg->cpu >= nr_cpu_ids || !cpu_possible(arg->cpu))
		return ERR_PTR(-EINVAL);

	arg->cpu = array_index_nospec(arg->cpu, nr_cpu_ids);
	ch = kzalloc_node(sizeof(*ch), GFP_KERNEL_ACCOUNT,
			  pirn_node_of(arg->cpu));
	if (!ch)
		return ERR_PTR(-ENOMEM);
	ch->sq_entries = arg->sq_entries;
	ch->cq_entries = arg->cq_entries;
	ch->nr_results = arg->results;
	ch->nr_joins = min(arg->results, arg->cq_entries / 2);
	ch->cpu = arg->cpu;
	ch->pid = task_tgid_nr(current);
	get_task_comm(ch->comm, current->group_leader);
	ch->times = arg->flags & PIRN_CHANNEL_TIMES;
	ch->charged = get_uid(current_user());
	spin_lock_init(&ch->lock);
	init_waitqueue_head(&ch->poll_wait);
	INIT_LIST_HEAD(&ch->retired_idents);
	INIT_WORK(&ch->free_work, pirn_channel_free_work);
	INIT_WORK(&ch->drop_work, pirn_channel_drop_work);
	err = pirn_channel_construct(ch);
	if (err)
		goto free_channel;

	file = anon_inode_getfile("[pirn-channel]", &pirn_channel_fops, ch,
				  O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto free_channel;
	}
	/* Ops in flight outlive the file and its hold on the module. */
	__module_get(THIS_MODULE);
	pirn_stats_add(ch);
	arg->mmap_bytes = ch->mmap_bytes;
	return file;

free_channel:
	pirn_channel_free(ch);
	return ERR_PTR(err);
}
