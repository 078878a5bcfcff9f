// SPDX-License-Identifier: MIT
/*
 * Reads whose op and buffer the runtime takes over when their caller goes on
 * without them: pirn_pread_give(), which cannot wait any longer, and
 * pirn_read_any(), which has what it wanted from another one.
 *
 * The op lies in a place of the core's own and not on the fiber's stack, which
 * goes on.  The place belongs to the call, and after an early end to the op until
 * that has ended.  Who ends the wait decides: the completion finds the fiber's
 * wait, or NULL when the deadline or the scope was first.  The wait itself lies on
 * the stack: the place may serve another call before the fiber has run.
 */
#include <stdlib.h>

#include <pirn/batch.h>

#include "backend.h"
#include "lib.h"
#include "wait.h"

/* A call of pirn_read_any(), on its stack. */
struct pirn_any {
	struct pirn_wait wait;
	uint32_t left;			/* reads under way */
	int winner;			/* -1: none yet */
	bool decided;			/* the fiber has been made runnable */
};

/* Of the caller's wait and any at most one is set; neither: it is an orphan. */
struct pirn_give {
	struct pirn_op op;
	struct pirn_wait *wait;
	struct pirn_any *any;
	int index;			/* in ios[] */
	bool ended;
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

/* The first that succeeds is enough, the last must do. */
static void any_ended(struct pirn_core *core, struct pirn_give *give)
{
	struct pirn_any *any = give->any;

	give->ended = true;
	any->left--;
	if (any->winner < 0 && give->op.result >= 0)
		any->winner = give->index;
	if (any->decided || (any->winner < 0 && any->left))
		return;
	any->decided = true;
	pirn_wait_end(core, &any->wait, 0);
}

void pirn_give_complete(struct pirn_core *core, struct pirn_op *op)
{
	struct pirn_give *give = container_of(op, struct pirn_give, op);

	if (give->any) {
		any_ended(core, give);
		return;
	}
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

/* One op; its result is in it, or the negative errno says why it was given up. */
static int run_one(struct pirn_core *core, struct pirn_give *give,
		   uint64_t deadline)
{
	struct pirn_op *op = &give->op;
	struct pirn_op_wait w = { .op = op };

	give->wait = &w.wait;
	op->issued = pirn_op_queue(core, op);
	pirn_op_batch(core);
	return pirn_wait_named(core, "pirn_pread_give",
			       op->issued ? NULL : &core->pending, &w.wait,
			       left, deadline);
}

/* The next op is of what is left; or, negative, why there is none. */
static int go_on(struct pirn_core *core, struct pirn_give *give, int n,
		 uint64_t deadline)
{
	struct pirn_op *op = &give->op;
	int err = pirn_wait_refused(core->current);

	if (!err && deadline <= pirn_core_time(core))
		err = -ETIMEDOUT;
	if (err) {
		put_all(core, give);
		return err;
	}
	op->buf = (char *)op->buf + n;
	op->pool_offset += (uint64_t)n;
	op->offset += (uint64_t)n;
	op->bytes -= (uint32_t)n;
	return 0;
}

/* All of it, in more than one op where the device cuts it short, as pirn_pread(). */
static int run(struct pirn_core *core, struct pirn_give *give,
	       uint64_t deadline)
{
	struct pirn_op *op = &give->op;
	int err, n, done = 0;

	op->fiber = core->current;
	op->file->on[core->index].busy++;
	for (;;) {
		err = run_one(core, give, deadline);
		n = op->result;
		if (!err && (n <= 0 || (uint32_t)n == op->bytes ||
			     n & (int)(op->file->block_bytes - 1)))
			break;
		if (!err)
			err = go_on(core, give, n, deadline);
		if (err)
			return pirn_fail(core, err, "the read was given up");
		done += n;
	}
	put(core, give);
	return n < 0 ? pirn_device_error(core, n) : done + n;
}

/* Refused before it began: the buffer goes all the same. */
static int refuse(struct pirn_core *core, void *buf, int error)
{
	pirn_pool_release(&core->pool, buf);
	return pirn_fail(core, error, "the deadline had passed, or the scope has ended");
}

/*
 * Checks a read and fills the first free place with it, which stays free: what
 * follows may still refuse it.  0, or the errno; *place is set.
 */
static int prepare(struct pirn_core *core, struct pirn_file *file, void *buf,
		   size_t bytes, uint64_t offset, struct pirn_give **place)
{
	struct pirn_give *give = core->gives_free;
	int err = pirn_read_check(core, file);

	if (err)
		return err;
	if (bytes > PIRN_MAX_IO)
		return pirn_fail(core, -EINVAL,
				 "%zu bytes are more than %u in a read to be given up",
				 bytes, PIRN_MAX_IO);
	if (bytes > pirn_pool_piece(&core->pool, buf) || !buf)
		return pirn_fail(core, -EFAULT,
				 "%p of %zu bytes is not a buffer that pirn_buf_alloc() gave out on this core",
				 buf, bytes);
	if (!give)
		return pirn_fail(core, -EAGAIN,
				 "all max_orphans (%u) places are taken, %llu by reads given up",
				 core->rt->opt.max_orphans,
				 (unsigned long long)core->stats.orphans);
	memset(&give->op, 0, sizeof(give->op));
	give->op.kind = PIRN_IO_READ;
	give->op.ends = PIRN_ENDS_GIVE;
	give->op.file = file;
	give->op.fiber = core->current;
	give->buf = buf;
	give->wait = NULL;
	give->any = NULL;
	give->ended = false;
	*place = give;
	return pirn_op_prepare(core, &give->op, buf, bytes, offset);
}

/* ------------------------------------------------------- the first of several */

#define MAX_ANY	64u

static void any_left(struct pirn_core *core, struct pirn_wait *wait)
{
	(void)core;
	container_of(wait, struct pirn_any, wait)->decided = true;
}

static void unprepare(struct pirn_core *core, struct pirn_give **gives,
		      unsigned int nr)
{
	while (nr--) {
		gives[nr]->next_free = core->gives_free;
		core->gives_free = gives[nr];
	}
}

/* All of them, or none and an errno. */
static int any_prepare(struct pirn_core *core, struct pirn_io *ios,
		       unsigned int nr, struct pirn_give **gives)
{
	unsigned int i, j;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		for (j = 0; j < i && ios[j].buf != ios[i].buf; j++)
			;
		if (j < i)
			err = pirn_fail(core, -EFAULT,
					"reads %u and %u have the same buffer",
					j, i);
		else
			err = prepare(core, ios[i].file, ios[i].buf,
				      ios[i].bytes, ios[i].offset, &gives[i]);
		if (!err && !ios[i].bytes)
			err = pirn_fail(core, -EINVAL, "read %u is of no bytes",
					i);
		if (err)
			break;
		gives[i]->index = (int)i;
		core->gives_free = gives[i]->next_free;
	}
	if (err)
		unprepare(core, gives, i);
	return err;
}

/* Begins those there is room for, in order; how many. */
static unsigned int any_issue(struct pirn_core *core, struct pirn_any *any,
			      struct pirn_give **gives, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && pirn_op_queue(core, &gives[i]->op); i++) {
		gives[i]->op.file->on[core->index].busy++;
		gives[i]->op.issued = true;
		gives[i]->any = any;
	}
	any->left = i;
	pirn_op_batch(core);
	return i;
}

/* What became of a read that was begun, as the caller is told. */
static void any_settle(struct pirn_core *core, struct pirn_io *io,
		       struct pirn_give *give)
{
	int n = give->op.result;

	if (give->ended) {
		io->result = n < 0 ? pirn_device_error(core, n) : n;
		put(core, give);
		return;
	}
	give->any = NULL;
	core->stats.orphans++;
	core->stats.orphaned++;
	io->buf = NULL;
	io->result = -EINPROGRESS;
}

/* There was room for none: the first waits for it, as pirn_pread_give() does. */
static int any_alone(struct pirn_core *core, struct pirn_io *io,
		     struct pirn_give *give, uint64_t deadline)
{
	int n = run(core, give, deadline);

	io->result = n;
	if (n == -ETIMEDOUT || n == -ECANCELED) {
		io->buf = NULL;
		io->result = -EINPROGRESS;
	}
	return n < 0 ? n : 0;
}

static int any_run(struct pirn_core *core, struct pirn_io *ios,
		   unsigned int nr, struct pirn_give **gives, uint64_t deadline)
{
	struct pirn_any any = { .winner = -1 };
	unsigned int i, begun;
	int err;

	begun = any_issue(core, &any, gives, nr);
	for (i = begun ? begun : 1; i < nr; i++)
		ios[i].result = -EAGAIN;
	if (!begun) {
		unprepare(core, gives + 1, nr - 1);
		return any_alone(core, &ios[0], gives[0], deadline);
	}
	unprepare(core, gives + begun, nr - begun);
	err = pirn_wait_named(core, "pirn_read_any", NULL, &any.wait, any_left,
			      deadline);
	for (i = 0; i < begun; i++)
		any_settle(core, &ios[i], gives[i]);
	if (any.winner >= 0)
		return any.winner;
	if (err)
		return pirn_fail(core, err, "the reads were given up");
	return (int)ios[0].result;
}

int pirn_read_any(struct pirn_io *ios, unsigned int nr, uint64_t deadline)
{
	struct pirn_give *gives[MAX_ANY];
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	if (!nr || nr > MAX_ANY)
		return pirn_fail(core, -EINVAL,
				 "pirn_read_any: %u reads are not 1 to %u", nr,
				 MAX_ANY);
	err = pirn_wait_refused(core->current);
	if (!err && deadline <= pirn_core_time(core))
		err = -ETIMEDOUT;
	if (err)
		return pirn_fail_plain(core, err);
	err = any_prepare(core, ios, nr, gives);
	return err ? err : any_run(core, ios, nr, gives, deadline);
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
	err = prepare(core, file, buf, bytes, offset, &give);
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
