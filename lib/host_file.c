// SPDX-License-Identifier: MIT
/*
 * Files of a real kernel: opening one with the alignment its direct IO wants,
 * and what is done to names.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "lib.h"

/* What direct IO on it wants to be multiples of. */
static int direct_alignment(struct pirn_file *file, int fd,
			    const struct stat *st)
{
	int block;

	file->memory_align = 512;
	if (S_ISBLK(st->st_mode)) {
		if (ioctl(fd, BLKSSZGET, &block))
			return -errno;
		file->block_bytes = (uint32_t)block;
		return 0;
	}
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
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
	int fd, err;

	open_flags |= O_CLOEXEC | O_NONBLOCK;	/* a FIFO must not hold us */
	if (!(flags & PIRN_O_BUFFERED))
		open_flags |= O_DIRECT;
	fd = open(path, open_flags, mode);
	if (fd < 0) {
		err = -errno;
		return pirn_fail(core, err, "%s: %s%s", path, strerror(-err),
				 err == -EINVAL && open_flags & O_DIRECT ?
				 ": its file system refuses O_DIRECT" : "");
	}
	if (fstat(fd, &st)) {
		err = -errno;
		goto err_close;
	}
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
		err = pirn_fail(core, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
				"%s: neither a regular file nor a block device",
				path);
		goto err_close;
	}
	file->handle = fd;
	file->block_bytes = 1;
	file->memory_align = 1;
	err = flags & PIRN_O_BUFFERED ? 0 : direct_alignment(file, fd, &st);
	if (err)
		goto err_close;
	/* io_uring takes O_NONBLOCK for "answer EAGAIN". */
	if (fcntl(fd, F_SETFL,
		  flags & PIRN_O_BUFFERED ? 0 : O_DIRECT)) {
		err = -errno;
		goto err_close;
	}
	return 0;

err_close:
	close(fd);
	return err;
}

void pirn_host_close(struct pirn_file *file)
{
	close((int)file->handle);
}

bool pirn_host_is_block(const struct pirn_file *file)
{
	struct stat st;

	return !fstat((int)file->handle, &st) && S_ISBLK(st.st_mode);
}

int64_t pirn_host_size(struct pirn_file *file)
{
	int fd = (int)file->handle;
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return st.st_size;
	return ioctl(fd, BLKGETSIZE64, &bytes) ? -errno : (int64_t)bytes;
}

int pirn_host_truncate(struct pirn_file *file, uint64_t bytes)
{
	if (pirn_host_is_block(file))
		return -EINVAL;
	return ftruncate((int)file->handle, (off_t)bytes) ? -errno : 0;
}

int pirn_host_rename(struct pirn_core *core, const char *from, const char *to)
{
	if (!rename(from, to))
		return 0;
	return pirn_fail(core, -errno, "%s to %s: %s", from, to,
			 strerror(errno));
}

int pirn_host_unlink(struct pirn_core *core, const char *path)
{
	if (!unlink(path))
		return 0;
	return pirn_fail(core, -errno, "%s: %s", path, strerror(errno));
}

int pirn_host_dir_sync(struct pirn_core *core, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return pirn_fail(core, -errno, "%s: %s", path,
				 strerror(errno));
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err ? pirn_fail(core, err, "fsync of %s: %s", path,
			       strerror(-err)) : 0;
}
