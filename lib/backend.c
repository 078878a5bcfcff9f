// SPDX-License-Identifier: MIT
/*
 * The backends by number, choosing one, and what those on a real kernel share:
 * clock, threads, and opening a file with the alignment its direct IO wants.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "lib.h"

/* In the order of preference. */
static const struct pirn_backend_ops *const backends[] = {
	[PIRN_BACKEND_KMOD] = &pirn_kmod_ops,
	[PIRN_BACKEND_URING] = &pirn_uring_ops,
};

const struct pirn_backend_ops *pirn_backend_ops(enum pirn_backend backend)
{
	return backend < ARRAY_SIZE(backends) ? backends[backend] : NULL;
}

const struct pirn_backend_ops *pirn_backend_choose(char *why, size_t why_bytes)
{
	char reason[160];
	size_t used = 0;

	why[0] = '\0';
	for (unsigned int i = 1; i < ARRAY_SIZE(backends); i++) {
		if (!backends[i]->probe(reason, sizeof(reason))) {
			char rest[256];

			snprintf(rest, sizeof(rest), "%s", why);
			snprintf(why, why_bytes, "backend %s%s%s",
				 backends[i]->name, rest[0] ? "; not " : "",
				 rest);
			return backends[i];
		}
		if (used < why_bytes)
			used += (size_t)snprintf(why + used, why_bytes - used,
						 "%s%s: %s", used ? "; " : "",
						 backends[i]->name, reason);
	}
	return NULL;
}

/* ------------------------------------------------------------------- host */

uint64_t pirn_host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Starts on its CPU already, so that its first memory is on its node. */
int pirn_host_thread_start(struct pirn_core *core, void *(*fn)(void *core))
{
	size_t bytes = CPU_ALLOC_SIZE(core->cpu + 1);
	cpu_set_t *set = CPU_ALLOC(core->cpu + 1);
	pthread_attr_t attr;
	int err;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(bytes, set);
	CPU_SET_S((size_t)core->cpu, bytes, set);
	err = pthread_attr_init(&attr);
	if (!err) {
		err = pthread_attr_setaffinity_np(&attr, bytes, set);
		if (!err)
			err = pthread_create(&core->thread, &attr, fn, core);
		pthread_attr_destroy(&attr);
	}
	CPU_FREE(set);
	return -err;
}

void pirn_host_thread_join(struct pirn_core *core)
{
	pthread_join(core->thread, NULL);
}

/* What direct IO on @fd wants to be multiples of. */
static int direct_alignment(struct pirn_file *file, const struct stat *st)
{
	int block;

	file->memory_align = 512;
	if (S_ISBLK(st->st_mode)) {
		if (ioctl(file->fd, BLKSSZGET, &block))
			return -errno;
		file->block_bytes = (uint32_t)block;
		return 0;
	}
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (!statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
	    stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align) {
		file->block_bytes = stx.stx_dio_offset_align;
		if (stx.stx_dio_mem_align > file->memory_align)
			file->memory_align = stx.stx_dio_mem_align;
		return 0;
	}
#endif
	/* Old kernels do not say: a page is right for every device they have. */
	file->block_bytes = PIRN_PAGE;
	return 0;
}

int pirn_host_open(struct pirn_core *core, struct pirn_file *file,
		   const char *path, int flags, mode_t mode)
{
	int open_flags = flags & ~(PIRN_O_BUFFERED | PIRN_O_RANDOM);
	struct stat st;
	int err;

	open_flags |= O_CLOEXEC | O_NONBLOCK;	/* a FIFO must not hold us */
	if (!(flags & PIRN_O_BUFFERED))
		open_flags |= O_DIRECT;
	file->fd = open(path, open_flags, mode);
	if (file->fd < 0) {
		err = -errno;
		return pirn_fail(core, err, "%s: %s%s", path, strerror(-err),
				 err == -EINVAL && open_flags & O_DIRECT ?
				 ": its file system refuses O_DIRECT" : "");
	}
	if (fstat(file->fd, &st)) {
		err = -errno;
		goto err_close;
	}
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
		err = pirn_fail(core, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
				"%s: neither a regular file nor a block device",
				path);
		goto err_close;
	}
	file->block_device = S_ISBLK(st.st_mode);
	file->block_bytes = 1;
	file->memory_align = 1;
	err = flags & PIRN_O_BUFFERED ? 0 : direct_alignment(file, &st);
	if (err)
		goto err_close;
	/* io_uring takes O_NONBLOCK for "answer EAGAIN". */
	if (fcntl(file->fd, F_SETFL,
		  flags & PIRN_O_BUFFERED ? 0 : O_DIRECT)) {
		err = -errno;
		goto err_close;
	}
	return 0;

err_close:
	close(file->fd);
	return err;
}

void pirn_host_close(struct pirn_file *file)
{
	close(file->fd);
}

int64_t pirn_host_size(struct pirn_file *file)
{
	struct stat st;
	uint64_t bytes;

	if (file->block_device)
		return ioctl(file->fd, BLKGETSIZE64, &bytes) ? -errno :
							       (int64_t)bytes;
	return fstat(file->fd, &st) ? -errno : st.st_size;
}

int pirn_host_truncate(struct pirn_file *file, uint64_t bytes)
{
	return ftruncate(file->fd, (off_t)bytes) ? -errno : 0;
}

/* ---------------------------------------------------------------- public */

int pirn_backend_probe(enum pirn_backend backend, char *reason,
		       size_t reason_bytes)
{
	const struct pirn_backend_ops *ops;
	char unused[1];

	if (!reason || !reason_bytes) {
		reason = unused;
		reason_bytes = sizeof(unused);
	}
	reason[0] = '\0';
	if (backend == PIRN_BACKEND_AUTO) {
		char why[256];

		ops = pirn_backend_choose(why, sizeof(why));
		snprintf(reason, reason_bytes, "%s", why);
		return ops ? 0 : -ENODEV;
	}
	ops = pirn_backend_ops(backend);
	if (!ops) {
		snprintf(reason, reason_bytes, "no backend has the number %d",
			 (int)backend);
		return -EINVAL;
	}
	return ops->probe(reason, reason_bytes);
}

const char *pirn_backend_name(enum pirn_backend backend)
{
	const struct pirn_backend_ops *ops = pirn_backend_ops(backend);

	if (backend == PIRN_BACKEND_AUTO)
		return "auto";
	return ops ? ops->name : NULL;
}

int pirn_backend_current(void)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	for (unsigned int i = 1; i < ARRAY_SIZE(backends); i++)
		if (backends[i] == core->ops)
			return (int)i;
	return -EINVAL;
}
