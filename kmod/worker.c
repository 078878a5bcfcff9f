// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: the detour.  An op that has to block is punted to a workqueue, where it
 * is done on behalf of the thread that submitted it.  Three kinds come here: ops
 * the device had no room for, whose second bio block.c submits, writes that met
 * pages which came while they were under way, and ops that wait in the file's own
 * code, which file.c calls.  Called by submit.c, block.c and
 * file.c, and hands back to the last two.
 */
#include <linux/cred.h>
#include <linux/ioprio.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/task_io_accounting_ops.h>

#include "pirn.h"

/*
 * Ops of one target in the worker at a time: what waits there for a device that
 * hangs must leave room for others.  What it has issued has left it.
 */
#define PIRN_TARGET_WORKERS	16u

/* Retired identities looked at for each that is new. */
#define PIRN_IDENT_LOOKS	16u

static void pirn_ident_free(struct pirn_ident *ident)
{
	put_cred(ident->cred);
	pirn_css_put(ident->blkcg);
	pirn_css_put(ident->memcg);
	kfree(ident);
}

static struct pirn_ident *pirn_ident_of_current(void)
{
	struct pirn_ident *ident;

	ident = kzalloc(sizeof(*ident), GFP_KERNEL_ACCOUNT);
	if (!ident)
		return NULL;
	ident->cred = get_current_cred();
	ident->blkcg = pirn_current_blkcg_get();
	ident->memcg = pirn_current_memcg_get();
	ident->ioprio = get_current_ioprio();
	return ident;
}

/*
 * Called by an ENTER that submits and is not of the channel's identity: replaces
 * that by the caller's, and frees of those before it, oldest first, some that no
 * op in flight needs.  One that is needed goes to the back: those of ops that hang
 * are not all that is looked at.  More are looked at than come in, so there are
 * never many more than ops in flight.
 * A completion that has counted itself in done never touches the identity again.
 */
int pirn_ident_update(struct pirn_channel *ch)
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
		/* Pairs with the release where an op ends, in complete.c. */
		if (ident->issued == smp_load_acquire(&ident->done)) {
			list_del(&ident->retired);
			pirn_ident_free(ident);
		} else {
			list_move(&ident->retired, &ch->retired_idents);
		}
		if (!--looks)
			break;
	}
	return 0;
}

void pirn_ident_free_all(struct pirn_channel *ch)
{
	struct pirn_ident *ident, *next;

	list_for_each_entry_safe(ident, next, &ch->retired_idents, retired)
		pirn_ident_free(ident);
	if (ch->ident)
		pirn_ident_free(ch->ident);
}

/* Whether the worker may begin with op; else it waits for another of its target. */
static bool pirn_worker_begin(struct pirn_op *op)
{
	struct pirn_target *target = op->target;

	if (target->working < PIRN_TARGET_WORKERS) {
		target->working++;
		refcount_inc(&target->refs);
		return true;
	}
	op->next = NULL;
	if (target->waiting.head)
		target->waiting.tail->next = op;
	else
		target->waiting.head = op;
	target->waiting.tail = op;
	return false;
}

/*
 * Gives an op to the worker: one whose bio was refused (nowait is set), or one
 * that needs the file.  Allocates nothing.  Any context.  The op is no longer the
 * caller's.
 */
void pirn_punt(struct pirn_op *op)
{
	struct pirn_channel *ch = op->channel;
	unsigned long flags;
	bool begin;

	spin_lock_irqsave(&ch->lock, flags);
	ch->counters.worker_punts++;
	begin = pirn_worker_begin(op);
	spin_unlock_irqrestore(&ch->lock, flags);
	if (begin)
		queue_work(ch->worker, &op->work);
}

/*
 * One op of target has left the worker: the next one's turn, if there is one.  The
 * channel is there as long as its worker is, for destroy_workqueue() waits for it;
 * of the target the reference that op had is left.
 */
static void pirn_worker_next(struct pirn_channel *ch, struct pirn_target *target)
{
	struct pirn_op *next;

	spin_lock_irq(&ch->lock);
	next = target->waiting.head;
	if (next)
		target->waiting.head = next->next;
	else
		target->working--;
	spin_unlock_irq(&ch->lock);
	if (next)
		queue_work(ch->worker, &next->work);
	else
		pirn_target_put(target);
}

/*
 * The same for the submitter, in whose name is counted what will be moved: unless
 * submit_bio() has, which counts reads, those that it then refuses, too.
 */
void pirn_punt_submitted(struct pirn_op *op)
{
	if (op->code == PIRN_OP_WRITE)
		task_io_account_write(op->len);
	else if (op->code == PIRN_OP_READ && !op->nowait)
		task_io_account_read(op->len);
	pirn_punt(op);
}

void pirn_op_work(struct work_struct *work)
{
	struct pirn_op *op = container_of(work, struct pirn_op, work);
	struct pirn_target *target = op->target;
	struct pirn_channel *ch = op->channel;
	struct cgroup_subsys_state *own_memcg;
	const struct cred *own_cred, *cred;
	struct mem_cgroup *memcg;

	/*
	 * Op and ident go before these are given back.  Only the second takes a
	 * reference of its own; the first has not since 6.14.
	 */
	own_cred = get_cred(op->ident->cred);
	own_memcg = op->ident->memcg;
	pirn_css_get(own_memcg);
	cred = override_creds(own_cred);
	kthread_associate_blkcg(op->ident->blkcg);
	memcg = set_active_memcg(mem_cgroup_from_css(own_memcg));
	if (unlikely(op->written))
		pirn_block_written(op);
	else if (!op->nowait || !pirn_block_retry(op))
		pirn_file_work(op);
	set_active_memcg(memcg);
	kthread_associate_blkcg(NULL);
	revert_creds(cred);
	pirn_css_put(own_memcg);
	put_cred(own_cred);
	pirn_worker_next(ch, target);
}
