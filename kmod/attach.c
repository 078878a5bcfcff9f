// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: before the first read.  Targets and pools are entered into a channel's
 * tables and taken out again.  Called by ctl.c; what is in the tables is looked
 * up by submit.c.
 *
 * An index goes through three states, changed under the channel's lock: free;
 * reserved by an ATTACH that has not copied its result to the caller yet (its
 * bit is set, its pointer is not); and in use.  ENTER reads the pointers without
 * the lock.  It may do so because a pointer only disappears while nobody is
 * submitting, which DETACH checks under the lock that a submitter takes to
 * become one; and because it appears with a release, after what it points at.
 */
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "pirn.h"

static int pirn_index_reserve(struct pirn_channel *ch, unsigned long *map,
			      u32 nr)
{
	int index;

	spin_lock_irq(&ch->lock);
	index = find_first_zero_bit(map, nr);
	if (index < nr)
		__set_bit(index, map);
	else
		index = -ENFILE;
	spin_unlock_irq(&ch->lock);
	return index;
}

static void pirn_index_release(struct pirn_channel *ch, unsigned long *map,
			       u32 index)
{
	spin_lock_irq(&ch->lock);
	__clear_bit(index, map);
	spin_unlock_irq(&ch->lock);
}

/*
 * What ATTACH asks of a file.  What kind it is stays true; of a block device size,
 * mode and alignment are looked at again for every op.
 */
static int pirn_target_check(struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;
	loff_t pos = 0;
	int err;

	if (!S_ISBLK(mode) && !S_ISREG(mode))
		return -EOPNOTSUPP;
	if (!(file->f_flags & O_DIRECT))
		return -EINVAL;
	/* A tmpfs says yes to O_DIRECT, since 6.6, and copies from its pages. */
	if (S_ISREG(mode) &&
	    (!(file->f_mode & FMODE_CAN_ODIRECT) ||
	     file_inode(file)->i_sb->s_magic == TMPFS_MAGIC))
		return -EOPNOTSUPP;
	if (file->f_mode & FMODE_READ) {
		err = rw_verify_area(READ, file, &pos, 1);
		if (err)
			return err;
	}
	if (file->f_mode & FMODE_WRITE) {
		err = rw_verify_area(WRITE, file, &pos, 1);
		if (err)
			return err;
	}
	return 0;
}

/*
 * One page left behind would cost the ops on it a trip to the worker, nothing
 * else: pages that cannot be dropped are no error.  A table of dm that becomes a
 * zoned one later fails writes out of order itself.
 */
static int pirn_target_prepare_block(struct pirn_target *target)
{
	struct block_device *bdev = I_BDEV(target->mapping->host);
	int err;

	err = sync_blockdev(bdev);
	if (err)
		return err;
	invalidate_bdev(bdev);
	target->dev = bdev->bd_dev;
	target->bytes = bdev_nr_bytes(bdev);
	target->block_mask = bdev_logical_block_size(bdev) - 1;
	target->memory_mask = pirn_memory_mask(bdev);
	/* Only its own code takes the lock of a zone. */
	if (!bdev_is_zoned(bdev))
		target->bdev = bdev;
	return 0;
}

/* What direct IO on a file wants, as the file system says it. */
static int pirn_target_prepare_file(struct pirn_target *target)
{
	struct file *file = target->file;
	struct kstat stat;
	int err;

	err = vfs_getattr(&file->f_path, &stat, STATX_DIOALIGN,
			  AT_STATX_DONT_SYNC);
	if (err)
		return err;
	target->dev = file_inode(file)->i_sb->s_dev;
	target->bytes = i_size_read(file_inode(file));
	target->block_mask = PAGE_SIZE - 1;
	target->memory_mask = PAGE_SIZE - 1;
	if (stat.result_mask & STATX_DIOALIGN) {
		/* As for one with data=journal. */
		if (!stat.dio_offset_align)
			return -EOPNOTSUPP;
		target->block_mask = stat.dio_offset_align - 1;
		target->memory_mask = max(stat.dio_mem_align,
					  stat.dio_offset_align) - 1;
	}
	return 0;
}

/* Any context; the file went before. */
void pirn_target_put(struct pirn_target *target)
{
	if (refcount_dec_and_test(&target->refs))
		kfree(target);
}

static void pirn_target_free(struct pirn_target *target)
{
	fput(target->file);
	pirn_target_put(target);
}

/* Returns a target that only waits to be committed, or an error pointer. */
struct pirn_target *pirn_target_prepare(struct pirn_channel *ch,
					struct pirn_target_attach *arg)
{
	struct pirn_target *target;
	struct file *file;
	int err;

	if (arg->flags)
		return ERR_PTR(-EINVAL);
	file = fget(arg->fd);
	if (!file)
		return ERR_PTR(-EBADF);
	err = pirn_target_check(file);
	if (err)
		goto put_file;
	target = kzalloc(sizeof(*target), GFP_KERNEL_ACCOUNT);
	if (!target) {
		err = -ENOMEM;
		goto put_file;
	}
	refcount_set(&target->refs, 1);
	target->file = file;
	target->mapping = file->f_mapping;
	err = S_ISBLK(file_inode(file)->i_mode) ?
	      pirn_target_prepare_block(target) :
	      pirn_target_prepare_file(target);
	if (err)
		goto free_target;
	err = pirn_index_reserve(ch, ch->target_map, PIRN_MAX_TARGETS);
	if (err < 0)
		goto free_target;

	arg->index = err;
	arg->bytes = target->bytes;
	arg->block_bytes = target->block_mask + 1;
	arg->memory_align = target->memory_mask + 1;
	return target;

free_target:
	kfree(target);
put_file:
	fput(file);
	return ERR_PTR(err);
}

void pirn_target_commit(struct pirn_channel *ch, u32 index,
			struct pirn_target *target)
{
	/* Pairs with the address dependency in pirn_target_find(). */
	smp_store_release(&ch->targets[index], target);
}

void pirn_target_abort(struct pirn_channel *ch, u32 index,
		       struct pirn_target *target)
{
	pirn_index_release(ch, ch->target_map, index);
	pirn_target_free(target);
}

int pirn_target_detach(struct pirn_channel *ch, u32 index)
{
	struct pirn_target *target;
	int err = 0;

	if (index >= PIRN_MAX_TARGETS)
		return -ENOENT;
	index = array_index_nospec(index, PIRN_MAX_TARGETS);

	spin_lock_irq(&ch->lock);
	target = READ_ONCE(ch->targets[index]);
	if (!target) {
		err = -ENOENT;
	} else if (ch->submitter || target->issued != target->done) {
		err = -EBUSY;
	} else {
		ch->targets[index] = NULL;
		__clear_bit(index, ch->target_map);
	}
	spin_unlock_irq(&ch->lock);
	if (!err)
		pirn_target_free(target);
	return err;
}

static void pirn_slot_free(struct pirn_pool_slot *slot)
{
	pirn_pool_put(slot->pool);
	kfree(slot);
}

/* Returns a slot that only waits to be committed, or an error pointer. */
struct pirn_pool_slot *pirn_slot_prepare(struct pirn_channel *ch,
					 struct pirn_pool_attach *arg)
{
	struct pirn_pool_slot *slot;
	struct pirn_pool *pool;
	int err;

	if (arg->flags)
		return ERR_PTR(-EINVAL);
	pool = pirn_pool_get_fd(arg->fd);
	if (IS_ERR(pool))
		return ERR_CAST(pool);

	slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);
	if (!slot) {
		err = -ENOMEM;
		goto put_pool;
	}
	slot->pool = pool;
	err = pirn_index_reserve(ch, ch->slot_map, PIRN_MAX_POOLS);
	if (err < 0)
		goto free_slot;

	arg->index = err;
	arg->bytes = pool->bytes;
	return slot;

free_slot:
	kfree(slot);
put_pool:
	pirn_pool_put(pool);
	return ERR_PTR(err);
}

void pirn_slot_commit(struct pirn_channel *ch, u32 index,
		      struct pirn_pool_slot *slot)
{
	/* Pairs with the address dependency in pirn_slot_find(). */
	smp_store_release(&ch->slots[index], slot);
}

void pirn_slot_abort(struct pirn_channel *ch, u32 index,
		     struct pirn_pool_slot *slot)
{
	pirn_index_release(ch, ch->slot_map, index);
	pirn_slot_free(slot);
}

int pirn_slot_detach(struct pirn_channel *ch, u32 index)
{
	struct pirn_pool_slot *slot;
	int err = 0;

	if (index >= PIRN_MAX_POOLS)
		return -ENOENT;
	index = array_index_nospec(index, PIRN_MAX_POOLS);

	spin_lock_irq(&ch->lock);
	slot = READ_ONCE(ch->slots[index]);
	if (!slot) {
		err = -ENOENT;
	} else if (ch->submitter || slot->issued != slot->done) {
		err = -EBUSY;
	} else {
		ch->slots[index] = NULL;
		__clear_bit(index, ch->slot_map);
	}
	spin_unlock_irq(&ch->lock);
	if (!err)
		pirn_slot_free(slot);
	return err;
}

/* On failure the caller calls pirn_tables_free(). */
int pirn_tables_alloc(struct pirn_channel *ch)
{
	ch->targets = kvcalloc(PIRN_MAX_TARGETS, sizeof(*ch->targets),
			       GFP_KERNEL_ACCOUNT);
	ch->slots = kvcalloc(PIRN_MAX_POOLS, sizeof(*ch->slots),
			     GFP_KERNEL_ACCOUNT);
	ch->target_map = bitmap_zalloc(PIRN_MAX_TARGETS, GFP_KERNEL_ACCOUNT);
	ch->slot_map = bitmap_zalloc(PIRN_MAX_POOLS, GFP_KERNEL_ACCOUNT);
	if (!ch->targets || !ch->slots || !ch->target_map || !ch->slot_map)
		return -ENOMEM;
	return 0;
}

/*
 * What no op needs goes when the channel is closed, and what others need when they
 * have ended: a device that hangs keeps what its own ops use, and not the files,
 * mounts and pools of others.
 */
void pirn_tables_drop_idle(struct pirn_channel *ch)
{
	u32 i;

	for (i = 0; i < PIRN_MAX_TARGETS; i++)
		pirn_target_detach(ch, i);
	for (i = 0; i < PIRN_MAX_POOLS; i++)
		pirn_slot_detach(ch, i);
}

void pirn_tables_free(struct pirn_channel *ch)
{
	u32 i;

	for (i = 0; ch->targets && i < PIRN_MAX_TARGETS; i++)
		if (ch->targets[i])
			pirn_target_free(ch->targets[i]);
	for (i = 0; ch->slots && i < PIRN_MAX_POOLS; i++)
		if (ch->slots[i])
			pirn_slot_free(ch->slots[i]);
	bitmap_free(ch->slot_map);
	bitmap_free(ch->target_map);
	kvfree(ch->slots);
	kvfree(ch->targets);
}
