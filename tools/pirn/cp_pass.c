// SPDX-License-Identifier: MIT
/*
 * pirn cp: one pass over SRC.  The chunks are handed out by one counter, so
 * that a fast core takes more of them and the device sees them nearly in order.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cp.h"

#define PROGRESS_NS 200000000ull
#define BAR_WIDTH 30

struct pass {
	struct cp *cp;
	cp_chunk_fn *fn;
	unsigned int fibers;	/* on each core */
};

int cp_fail(struct cp *cp, int err, const char *doing, const char *path,
	    uint64_t offset)
{
	if (atomic_flag_test_and_set(&cp->failed))
		return err;
	cp->error.err = err;
	cp->error.doing = doing;
	cp->error.path = path;
	cp->error.offset = offset;
	snprintf(cp->error.reason, sizeof(cp->error.reason), "%s", pirn_reason());
	atomic_store(&cp->stop, true);
	return err;
}

int cp_read(struct cp *cp, const struct cp_side *side, void *buf,
	    uint64_t offset, uint32_t bytes)
{
	ssize_t n = pirn_pread(side->file, buf, cp_round_up(bytes, side->block),
			       offset);

	if (n < 0)
		return cp_fail(cp, (int)n, "reading", side->path, offset);
	if (n < (ssize_t)bytes)
		return cp_fail(cp, CP_ENDED, "reading", side->path,
			       offset + (uint64_t)n);
	return 0;
}

void cp_complain(const struct cp *cp)
{
	const struct cp_error *e = &cp->error;
	unsigned long long done = atomic_load(&cp->done);
	const char *what = e->err == CP_ENDED ? "the file ended, it became shorter" :
						strerror(-e->err);

	if (!e->err)
		complain("stopped by signal %d; %s %llu of %llu bytes",
			 (int)cp_signal, cp->verb, done,
			 (unsigned long long)cp->size);
	else
		complain("%s %s at offset %llu: %s%s%s%s; %s %llu of %llu bytes",
			 e->doing, e->path, (unsigned long long)e->offset, what,
			 e->reason[0] ? " (" : "", e->reason,
			 e->reason[0] ? ")" : "", cp->verb, done,
			 (unsigned long long)cp->size);
}

static void progress(struct cp *cp)
{
	static const char hashes[] = "##############################";
	uint64_t done = atomic_load(&cp->done), now = pirn_now();
	double part = (double)done / (double)cp->size;
	double seconds = (double)(now - cp->started) / 1e9;

	if (!cp->show_progress || now < cp->next_progress)
		return;
	cp->next_progress = now + PROGRESS_NS;
	fprintf(stderr, "\r%s %3.0f %% [%-*.*s] %.1f of %.1f MiB, %.0f MiB/s\033[K",
		cp->verb, part * 100, BAR_WIDTH, (int)(part * BAR_WIDTH), hashes,
		(double)done / (1 << 20), (double)cp->size / (1 << 20),
		(double)done / (1 << 20) / seconds);
}

static int take_chunks(struct pass *pass, void *const *bufs)
{
	struct cp *cp = pass->cp;
	uint64_t offset, bytes;
	int err;

	for (;;) {
		if (cp_signal || atomic_load(&cp->stop))
			return -ECANCELED;
		offset = atomic_fetch_add(&cp->next, 1) * cp->chunk;
		if (offset >= cp->size)
			return 0;
		bytes = cp->size - offset;
		if (bytes > cp->chunk)
			bytes = cp->chunk;
		err = pass->fn(cp, bufs, offset, (uint32_t)bytes);
		if (err)
			return err;
		atomic_fetch_add(&cp->done, bytes);
		if (pirn_core() == 0)
			progress(cp);
	}
}

static int chunk_fiber(void *arg)
{
	struct pass *pass = arg;
	void *bufs[CP_BUFS] = { NULL };
	int i, err = 0;

	for (i = 0; i < CP_BUFS && !err; i++) {
		bufs[i] = pirn_buf_alloc(pass->cp->chunk);
		if (!bufs[i])
			err = cp_fail(pass->cp, -ENOMEM, "a buffer for",
				      pass->cp->src.path, 0);
	}
	if (!err)
		err = take_chunks(pass, bufs);
	while (i > 0)
		pirn_buf_free(bufs[--i]);
	return err;
}

static int core_fiber(void *arg)
{
	struct pass *pass = arg;

	return cores_run_fibers(pass->fibers, chunk_fiber, pass);
}

int cp_pass(struct cp *cp, const char *verb, cp_chunk_fn *fn)
{
	struct pass pass = { cp, fn, cp->depth };
	uint64_t chunks = cp_round_up(cp->size, cp->chunk) / cp->chunk;
	int err;

	/* No more fibers on a core than could all be needed there. */
	if (chunks < pass.fibers)
		pass.fibers = (unsigned int)chunks;
	cp->verb = verb;
	cp->started = pirn_now();
	atomic_store(&cp->next, 0);
	atomic_store(&cp->done, 0);
	cp->show_progress = isatty(STDERR_FILENO);
	cp->next_progress = cp->started + PROGRESS_NS;
	if (!chunks)
		return 0;
	err = cores_run(core_fiber, &pass);
	if (cp->show_progress)
		fputs("\r\033[K", stderr);
	/* Not from a chunk: a fiber could not be made. */
	if (err < 0 && err != -ECANCELED && !atomic_load(&cp->stop))
		cp_fail(cp, err, "starting on", cp->src.path, 0);
	return err;
}
