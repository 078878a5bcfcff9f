// SPDX-License-Identifier: MIT
/*
 * pirn_pread_give(): a read whose op and buffer the runtime takes over when its
 * caller cannot wait any longer.
 *
 * The op lies in a place of the core's own and not on the fiber's stack, which
 * goes on.  The place belongs to the call, and after an early end to the op until
 * that has ended.  Who ends the wait decides: the completion finds the fiber's
 * wait, or NULL when the deadline or the scope was first.  The wait itself lies on
 * the stack: the place may serve another call before the fiber has run.
 */
#include <stdlib.h>

#include "backend.h"
#include "lib.h"
#include "wait.h"

struct pirn_give {
	struct pirn_op op;
	struct pirn_wait *wait;		/* of the caller; NULL: it is an orphan */
	void *buf;
	struct pirn_give *next_free;
};

int pirn_gives_start(struct pirn_core *core)
{
	uint32_t n = core->rt->opt.max_orphans;

	core->gives = calloc(n, sizeof(*core->gives));
	if (!core->gives)
		return -ENOMEM;
	while (n--) {
		core->gives[n].next_free = core->gives_free;
		core->gives_free = &core->gives[n];
	}
	return 0;
}

void pirn_gives_stop(struct pirn_core *core)
{
	free(core->gives);
	core->gives = NULL;
	core->gives_free = NULL;
}

/* Nothing of the op is under way any more. */
static void put(struct pirn_core *core, struct pirn_give *give)
{
	give->op.file->on[core->index].busy--;
	give->next_free = core->gives_free;
	core->gives_free = give;
}

/* The caller is gone, and nothing writes to the buffer any more. */
static void put_all(struct pirn_core *core, struct pirn_give *give)
{
	pirn_pool_release(&core->pool, give->buf);
	put(core, give);
}

void pirn_give_complete(struct pirn_core *core, struct pirn_op *op)
{
	struct pirn_give *give = container_of(op, struct pirn_give, op);

	if (give->wait) {
		pirn_wait_end(core, give->wait, 0);
		return;
	}
	core->stats.orphans--;
	put_all(core, give);
}

/* The caller's wait was ended early. */
static void left(struct pirn_core *core, struct pirn_wait *wait)
{
	struct pirn_op_wait *w = container_of(wait, struct pirn_op_wait, wait);
	struct pirn_give *give = container_of(w->op, struct pirn_give, op);

	give->wait = NULL;
	if (give->op.issued) {
		core->stats.orphans++;
		core->stats.orphaned++;
	} else {
		put_all(core, give);
	}
}

static int run(struct pirn_core *core, struct pirn_give *give,
	       uint64_t deadline)
{
	struct pirn_op *op = &give->op;
	struct pirn_op_wait w = { .op = op };
	int n;

	give->wait = &w.wait;
	op->fiber = core->current;
	op->file->on[core->index].busy++;
	op->issued = pirn_op_queue(core, op);
	pirn_op_batch(core);
	n = pirn_wait_named(core, "pirn_pread_give",
			    op->issued ? NULL : &core->pending, &w.wait, left,
			    deadline);
	if (n)
		return pirn_fail(core, n, "the read was given up");
	n = op->result;
	put(core, give);
	return n < 0 ? pirn_device_error(core, n) : n;
}

/* Refused before it began: the buffer goes all the same. */
static int refuse(struct pirn_core *core, void *buf, int error)
{
	pirn_pool_release(&core->pool, buf);
	return pirn_fail(core, error, "the deadline had passed, or the scope has ended");
}

/* ---------------------------------------------------------------- public */

ssize_t pirn_pread_give(struct pirn_file *file, void *buf, size_t bytes,
			uint64_t offset, uint64_t deadline)
{
	struct pirn_core *core = pirn_this();
	struct pirn_give *give;
	int err;

	if (!core)
		return -EPERM;
	err = pirn_read_check(core, file);
	if (err)
		return err;
	if (bytes > PIRN_MAX_IO)
		return pirn_fail(core, -EINVAL,
				 "pirn_pread_give: %zu bytes are more than %u",
				 bytes, PIRN_MAX_IO);
	if (bytes > pirn_pool_piece(&core->pool, buf) || !buf)
		return pirn_fail(core, -EFAULT,
				 "pirn_pread_give: %p of %zu bytes is not a buffer that pirn_buf_alloc() gave out on this core",
				 buf, bytes);
	give = core->gives_free;
	if (!give)
		return pirn_fail(core, -EAGAIN,
				 "all max_orphans (%u) places are taken, %llu by reads given up",
				 core->rt->opt.max_orphans,
				 (unsigned long long)core->stats.orphans);
	memset(&give->op, 0, sizeof(give->op));
	give->op.kind = PIRN_IO_READ;
	give->op.given = true;
	give->op.file = file;
	give->buf = buf;
	err = pirn_op_prepare(core, &give->op, buf, bytes, offset);
	if (err || !bytes)
		return err;
	err = pirn_wait_refused(core->current);
	if (err)
		return refuse(core, buf, err);
	if (deadline <= pirn_core_time(core))
		return refuse(core, buf, -ETIMEDOUT);
	core->gives_free = give->next_free;
	return run(core, give, deadline);
}
