// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: the detour.  An op that has to block is punted to a workqueue, where it
 * is done on behalf of the thread that submitted it.  Two kinds come here: ops
 * the device had no room for, whose second bio block.c submits, and ops that
 * meet cached pages of the device, which take the file's own read, write and
 * fsync, so that they are as coherent as O_DIRECT is.  Called by submit.c and
 * block.c; results go to complete.c.
 */
#include <linux/cred.h>
#include <linux/ioprio.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "pirn.h"

/* Retired identities looked at for each that is new. */
#define PIRN_IDENT_LOOKS	16u

static void pirn_ident_free(struct pirn_ident *ident)
{
	put_cred(ident->cred);
	pirn_blkcg_put(ident->blkcg);
	kfree(ident);
}

static bool pirn_ident_is_current(const struct pirn_ident *ident)
{
	bool same;

	rcu_read_lock();
	same = ident->blkcg == pirn_current_blkcg();
	rcu_read_unlock();
	return same && ident->cred == current_cred() &&
	       ident->ioprio == get_current_ioprio();
}

static struct pirn_ident *pirn_ident_of_current(void)
{
	struct pirn_ident *ident;

	ident = kzalloc(sizeof(*ident), GFP_KERNEL_ACCOUNT);
	if (!ident)
		return NULL;
	ident->cred = get_current_cred();
	ident->blkcg = pirn_current_blkcg_get();
	ident->ioprio = get_current_ioprio();
	return ident;
}

/*
 * Replaces the channel's identity by the caller's if that is another one, and
 * frees of those before it, oldest first, some that no op in flight needs.  More
 * are looked at than come in, so there are never many more than ops in flight.
 * A completion that has counted itself in done never touches the identity again.
 */
static noinline int pirn_ident_replace(struct pirn_channel *ch)
{
	struct pirn_ident *ident, *next;
	u32 looks = PIRN_IDENT_LOOKS;

	ident = pirn_ident_of_current();
	if (!ident)
		return -ENOMEM;
	if (ch->ident)
		list_add(&ch->ident->retired, &ch->retired_idents);
	ch->ident = ident;

	list_for_each_entry_safe_reverse(ident, next, &ch->retired_idents,
					 retired) {
		if (ident->issued == READ_ONCE(ident->done)) {
			list_del(&ident->retired);
			pirn_ident_free(ident);
		}
		if (!--looks)
			break;
	}
	return 0;
}

/* Called once per ENTER that submits. */
int pirn_ident_update(struct pirn_channel *ch)
{
	if (likely(ch->ident && pirn_ident_is_current(ch->ident)))
		return 0;
	return pirn_ident_replace(ch);
}

void pirn_ident_free_all(struct pirn_channel *ch)
{
	struct pirn_ident *ident, *next;

	list_for_each_entry_safe(ident, next, &ch->retired_idents, retired)
		pirn_ident_free(ident);
	if (ch->ident)
		pirn_ident_free(ch->ident);
}

/*
 * Gives an op to the worker: one whose bio was refused (nowait is set), or one
 * that needs the file.  Allocates nothing.  The op is no longer the caller's.
 */
void pirn_punt(struct pirn_op *op)
{
	struct pirn_channel *ch = op->channel;
	unsigned long flags;

	spin_lock_irqsave(&ch->lock, flags);
	ch->counters.worker_punts++;
	spin_unlock_irqrestore(&ch->lock, flags);
	queue_work(ch->worker, &op->work);
}

/* Reads or writes through the file, as pread() and pwrite() on it would. */
static ssize_t pirn_file_rw(struct pirn_op *op)
{
	struct file *file = op->target->file;
	bool write = op->code == PIRN_OP_WRITE;
	struct pirn_span span = pirn_pool_span(op->slot->pool, op);
	struct iov_iter iter;
	struct kiocb iocb;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, span.bvec,
		      span.nr, span.skip + op->len);
	iov_iter_advance(&iter, span.skip);

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = op->offset;
	iocb.ki_ioprio = op->ident->ioprio;
	/* The file was opened with it; fcntl() may have taken it away since. */
	iocb.ki_flags |= IOCB_DIRECT;
	if (op->sqe_flags & PIRN_SQE_DSYNC)
		iocb.ki_flags |= IOCB_DSYNC;
	return write ? vfs_iocb_iter_write(file, &iocb, &iter) :
		       vfs_iocb_iter_read(file, &iocb, &iter);
}

static void pirn_op_do(struct pirn_op *op)
{
	if (op->nowait && pirn_block_retry(op))
		return;
	if (op->code == PIRN_OP_FSYNC)
		pirn_complete(op, vfs_fsync(op->target->file, 0));
	else
		pirn_complete(op, pirn_file_rw(op));
}

void pirn_op_work(struct work_struct *work)
{
	struct pirn_op *op = container_of(work, struct pirn_op, work);
	const struct cred *cred;

	/* Both take references of their own: op and ident go before they do. */
	cred = override_creds(op->ident->cred);
	kthread_associate_blkcg(op->ident->blkcg);
	pirn_op_do(op);
	kthread_associate_blkcg(NULL);
	revert_creds(cred);
}
