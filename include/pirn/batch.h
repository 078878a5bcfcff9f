/* SPDX-License-Identifier: MIT */
/*
 * Several reads or writes in one call, which parks once: all of them, or the
 * first of several copies.
 */
#ifndef PIRN_BATCH_H
#define PIRN_BATCH_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One of them, as pirn_pread() and pirn_pwrite() take it but for @bytes, 1 MiB at
 * most.  It lies anywhere; the caller sets what is above result.  The rest is the
 * library's until the call returns.
 */
struct pirn_io {
	struct pirn_file *file;
	void *buf;
	size_t bytes;
	uint64_t offset;
	ssize_t result;		/* bytes, or a negative errno */
	void *reserved[20];
};

/*
 * Does @nr reads, or writes with @flags (PIRN_DSYNC), in no order to rely on, and
 * returns when all have ended: 0, or the error of the first in ios[] that has one.
 * Each result is what the single call would have returned.  Parks once, unless a
 * device cuts a transfer short; on the backend kmod with all of them in one or
 * more joins of up to 16, which wake the core once each.  Any @nr: what finds no
 * room (io_depth) waits its turn.
 *
 * -EINVAL, -EBADF, -EFAULT, because an argument of any of them is wrong (see
 * pirn_reason()), -ECANCELED and -ETIMEDOUT, because the scope has ended: nothing
 * was issued, and no result is set.  Once the first is issued all are, and those
 * errors are not returned.
 */
PIRN_API int pirn_read_all(struct pirn_io *ios, unsigned int nr);
PIRN_API int pirn_write_all(struct pirn_io *ios, unsigned int nr,
			    unsigned int flags);

/*
 * Reads the same from @nr places, 1 to 64, and returns with the first that
 * succeeds: its index in ios[].  The others go on without the caller: a buffer that
 * is still being read into is the runtime's from then on, which gives it back to
 * its pool when that read has ended, as pirn_pread_give() does.  ios[i].buf is NULL
 * then, and result -EINPROGRESS.  Every buffer whose buf is not NULL is the
 * caller's still, with its result, which is fewer bytes than asked for where a
 * device cut a read short; -EAGAIN: there was no room (io_depth) and the read was
 * not begun, since another one was.
 *
 * When none succeeds: the error of ios[0].  -ETIMEDOUT: @deadline has passed;
 * -ECANCELED or that: the scope has ended; what was under way is the runtime's as
 * above.
 *
 * Each buffer is a whole one that pirn_buf_alloc() gave out on this core, each
 * once (-EFAULT); other errors of pirn_pread().  Takes @nr of the places of
 * pirn_options.max_orphans (-EAGAIN).  With such an error nothing was issued, and
 * all buffers are the caller's.
 */
PIRN_API int pirn_read_any(struct pirn_io *ios, unsigned int nr,
			   uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* PIRN_BATCH_H */
