// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path: where every ioctl arrives.  One read passes through here once, as an
 * ENTER, which is tested before anything else and goes to enter.c.  All other
 * calls take a struct that starts with its size and go through the dispatcher,
 * to channel.c, pool.c and attach.c.
 */
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/uaccess.h>

#include "pirn.h"

union pirn_arg {
	struct pirn_query		query;
	struct pirn_channel_create	channel_create;
	struct pirn_pool_create		pool_create;
	struct pirn_target_attach	target_attach;
	struct pirn_target_detach	target_detach;
	struct pirn_pool_attach		pool_attach;
	struct pirn_pool_detach		pool_detach;
	struct pirn_enter		enter;
};

/* One call on its way through the dispatcher. */
struct pirn_call {
	struct pirn_channel	*ch;		/* NULL on /dev/pirn */
	union pirn_arg		arg;		/* in and out */
	void			*object;	/* what prepare made */
	int			fd;		/* reserved for it, if a file */
};

/*
 * prepare does the work but shows nothing to anybody; its result is what the
 * ioctl returns unless commit returns another.  When arg could be copied back
 * commit publishes the object, which cannot fail, else abort drops it: a call
 * that fails with EFAULT at the very end has changed nothing.
 */
struct pirn_ioctl {
	unsigned int	cmd;
	u32		min_size;	/* of the struct in ABI version 1 */
	u32		size;		/* of the struct as compiled */
	bool		out;		/* copied back */
	long		(*prepare)(struct pirn_call *call);
	long		(*commit)(struct pirn_call *call);
	void		(*abort)(struct pirn_call *call);
};

static long pirn_query_prepare(struct pirn_call *call)
{
	struct pirn_query *query = &call->arg.query;

	*query = (struct pirn_query) {
		.size		= query->size,
		.abi_version	= PIRN_ABI_VERSION,
		.features	= PIRN_FEATURE_TIMES,
		.op_mask	= BIT_ULL(PIRN_OP_LAST) - 1,
		.sqe_flags	= PIRN_SQE_DSYNC | PIRN_SQE_NOMERGE |
				  (PIRN_REQ_ATOMIC ? PIRN_SQE_ATOMIC : 0),
		.max_pool_bytes	= pirn_pool_max_bytes(),
		.max_sq_entries	= PIRN_MAX_SQ_ENTRIES,
		.max_cq_entries	= PIRN_MAX_CQ_ENTRIES,
		.max_targets	= PIRN_MAX_TARGETS,
		.max_pools	= PIRN_MAX_POOLS,
		.max_io_bytes	= PIRN_MAX_IO_BYTES,
		.max_results	= PIRN_MAX_RESULTS,
	};
	return 0;
}

/* The second half of both CREATE calls: a number for the new file. */
static long pirn_file_prepare(struct pirn_call *call, struct file *file)
{
	if (IS_ERR(file))
		return PTR_ERR(file);
	call->fd = get_unused_fd_flags(O_CLOEXEC);
	if (call->fd < 0) {
		fput(file);
		return call->fd;
	}
	call->object = file;
	return 0;
}

static long pirn_file_commit(struct pirn_call *call)
{
	fd_install(call->fd, call->object);
	return call->fd;
}

static void pirn_file_abort(struct pirn_call *call)
{
	put_unused_fd(call->fd);
	fput(call->object);
}

static long pirn_channel_create_prepare(struct pirn_call *call)
{
	return pirn_file_prepare(call,
				 pirn_channel_create(&call->arg.channel_create));
}

static long pirn_pool_create_prepare(struct pirn_call *call)
{
	return pirn_file_prepare(call,
				 pirn_pool_create(&call->arg.pool_create));
}

static long pirn_target_attach_prepare(struct pirn_call *call)
{
	call->object = pirn_target_prepare(call->ch, &call->arg.target_attach);
	return PTR_ERR_OR_ZERO(call->object);
}

static long pirn_target_attach_commit(struct pirn_call *call)
{
	pirn_target_commit(call->ch, call->arg.target_attach.index,
			   call->object);
	return 0;
}

static void pirn_target_attach_abort(struct pirn_call *call)
{
	pirn_target_abort(call->ch, call->arg.target_attach.index,
			  call->object);
}

static long pirn_target_detach_prepare(struct pirn_call *call)
{
	return pirn_target_detach(call->ch, call->arg.target_detach.index);
}

static long pirn_pool_attach_prepare(struct pirn_call *call)
{
	call->object = pirn_slot_prepare(call->ch, &call->arg.pool_attach);
	return PTR_ERR_OR_ZERO(call->object);
}

static long pirn_pool_attach_commit(struct pirn_call *call)
{
	pirn_slot_commit(call->ch, call->arg.pool_attach.index, call->object);
	return 0;
}

static void pirn_pool_attach_abort(struct pirn_call *call)
{
	pirn_slot_abort(call->ch, call->arg.pool_attach.index, call->object);
}

static long pirn_pool_detach_prepare(struct pirn_call *call)
{
	return pirn_slot_detach(call->ch, call->arg.pool_detach.index);
}

static long pirn_enter_until_prepare(struct pirn_call *call)
{
	const struct pirn_enter *enter = &call->arg.enter;
	struct pirn_until until = { .deadline = enter->deadline };
	bool wait = enter->flags & PIRN_ENTER_WAIT;
	bool watch = enter->flags & PIRN_ENTER_WATCH;
	long ret;

	if (enter->flags & ~(PIRN_ENTER_WAIT | PIRN_ENTER_WATCH))
		return -EINVAL;
	/* Without a wait they would be a misunderstanding. */
	if (!wait && (watch || enter->deadline))
		return -EINVAL;
	if (!watch)
		return enter->watch ? -EINVAL :
		       pirn_enter(call->ch, enter->to_submit,
				  wait ? &until : NULL);

	until.watch = pirn_watch_get(enter->watch);
	if (IS_ERR(until.watch))
		return PTR_ERR(until.watch);
	ret = pirn_enter(call->ch, enter->to_submit, &until);
	fput(until.watch);
	return ret;
}

/* Everything in one word, which only has room for a wait without an end. */
static long pirn_enter_word(struct pirn_channel *ch, unsigned long word)
{
	static const struct pirn_until until;
	long ret;

	if (word & ~(unsigned long)(PIRN_ENTER_COUNT_MASK | PIRN_ENTER_WAIT))
		return -EINVAL;
	ret = pirn_enter(ch, word & PIRN_ENTER_COUNT_MASK,
			 word & PIRN_ENTER_WAIT ? &until : NULL);
	return ret < 0 ? ret : ret & PIRN_ENTER_COUNT_MASK;
}

/* The last field of version 1; sizes only grow from here. */
#define PIRN_SIZES(type, last)						\
	.min_size = offsetofend(struct type, last),			\
	.size = sizeof(struct type)

static const struct pirn_ioctl pirn_dev_ioctls[] = {
	{
		.cmd		= PIRN_IOC_QUERY,
		PIRN_SIZES(pirn_query, max_results),
		.out		= true,
		.prepare	= pirn_query_prepare,
	},
	{
		.cmd		= PIRN_IOC_CHANNEL_CREATE,
		PIRN_SIZES(pirn_channel_create, mmap_bytes),
		.out		= true,
		.prepare	= pirn_channel_create_prepare,
		.commit		= pirn_file_commit,
		.abort		= pirn_file_abort,
	},
	{
		.cmd		= PIRN_IOC_POOL_CREATE,
		PIRN_SIZES(pirn_pool_create, segments),
		.out		= true,
		.prepare	= pirn_pool_create_prepare,
		.commit		= pirn_file_commit,
		.abort		= pirn_file_abort,
	},
};

static const struct pirn_ioctl pirn_channel_ioctls[] = {
	{
		.cmd		= PIRN_IOC_ENTER_UNTIL,
		PIRN_SIZES(pirn_enter, deadline),
		.prepare	= pirn_enter_until_prepare,
	},
	{
		.cmd		= PIRN_IOC_TARGET_ATTACH,
		PIRN_SIZES(pirn_target_attach, memory_align),
		.out		= true,
		.prepare	= pirn_target_attach_prepare,
		.commit		= pirn_target_attach_commit,
		.abort		= pirn_target_attach_abort,
	},
	{
		.cmd		= PIRN_IOC_TARGET_DETACH,
		PIRN_SIZES(pirn_target_detach, index),
		.prepare	= pirn_target_detach_prepare,
	},
	{
		.cmd		= PIRN_IOC_POOL_ATTACH,
		PIRN_SIZES(pirn_pool_attach, bytes),
		.out		= true,
		.prepare	= pirn_pool_attach_prepare,
		.commit		= pirn_pool_attach_commit,
		.abort		= pirn_pool_attach_abort,
	},
	{
		.cmd		= PIRN_IOC_POOL_DETACH,
		PIRN_SIZES(pirn_pool_detach, index),
		.prepare	= pirn_pool_detach_prepare,
	},
};

static long pirn_dispatch(const struct pirn_ioctl *ioctl,
			  struct pirn_channel *ch, void __user *user)
{
	struct pirn_call call = { .ch = ch, .fd = -1 };
	u32 user_size;
	long ret;

	if (get_user(user_size, (u32 __user *)user))
		return -EFAULT;
	if (user_size < ioctl->min_size)
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&call.arg, ioctl->size, user, user_size);
	if (ret)
		return ret;

	ret = ioctl->prepare(&call);
	if (ret < 0)
		return ret;
	if (ioctl->out &&
	    copy_to_user(user, &call.arg, min(user_size, ioctl->size))) {
		if (ioctl->abort)
			ioctl->abort(&call);
		return -EFAULT;
	}
	if (ioctl->commit)
		ret = ioctl->commit(&call);
	return ret;
}

static const struct pirn_ioctl *pirn_find(const struct pirn_ioctl *table,
					  unsigned int nr, unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (table[i].cmd == cmd)
			return &table[i];
	return NULL;
}

long pirn_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct pirn_ioctl *ioctl;

	ioctl = pirn_find(pirn_dev_ioctls, ARRAY_SIZE(pirn_dev_ioctls), cmd);
	if (!ioctl)
		return -ENOTTY;
	return pirn_dispatch(ioctl, NULL, (void __user *)arg);
}

long pirn_channel_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pirn_channel *ch = file->private_data;
	const struct pirn_ioctl *ioctl;

	if (likely(cmd == PIRN_IOC_ENTER))
		return pirn_enter_word(ch, arg);
	if (cmd == PIRN_IOC_NOTIFY) {
		if (arg)
			return -EINVAL;
		pirn_notify(ch);
		return 0;
	}
	ioctl = pirn_find(pirn_channel_ioctls,
			  ARRAY_SIZE(pirn_channel_ioctls), cmd);
	if (!ioctl)
		return -ENOTTY;
	return pirn_dispatch(ioctl, ch, (void __user *)arg);
}

#ifdef CONFIG_COMPAT
/* All structs have one layout: only pointers need care. */
long pirn_dev_compat_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	return pirn_dev_ioctl(file, cmd, (unsigned long)compat_ptr(arg));
}

long pirn_channel_compat_ioctl(struct file *file, unsigned int cmd,
			       unsigned long arg)
{
	/* These two take a number, which compat_ptr() may cut. */
	if (cmd != PIRN_IOC_ENTER && cmd != PIRN_IOC_NOTIFY)
		arg = (unsigned long)compat_ptr(arg);
	return pirn_channel_ioctl(file, cmd, arg);
}
#endif
