// SPDX-License-Identifier: MIT
/*
 * Files of a real kernel: opening one with the alignment its direct IO wants,
 * and what is done to names.
 *
 * Whatever here may wait for a disk is a job of a helper thread.  A job may end
 * after its runtime has stopped, when no fiber looks at it any more: what must
 * not be lost then, an open descriptor, is kept in the struct pirn_file.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "helper.h"
#include "lib.h"

/* On the fiber's stack; the reason is the core's only when the fiber runs. */
struct file_job {
	struct pirn_job job;
	struct pirn_file *file;
	const char *path;
	const char *to;
	int flags;
	mode_t mode;
	uint64_t bytes;
	int result;
	char why[sizeof(((struct pirn_core *)0)->reason)];
};

static int file_job_run(struct pirn_core *core, struct file_job *job,
			void (*work)(struct pirn_job *job), enum pirn_help why)
{
	job->job.work = work;
	job->why[0] = '\0';
	job->result = 0;
	pirn_job_run(core, &job->job, why);
	if (!job->result)
		return 0;
	/* With these the library says that a scope has ended. */
	if (job->result == -ETIMEDOUT || job->result == -ECANCELED)
		return pirn_fail(core, -EIO, "the file system gave up: %s",
				 job->why[0] ? job->why :
					       strerror(-job->result));
	return pirn_fail(core, job->result, "%s", job->why);
}

__attribute__((format(printf, 3, 4)))
static void job_fail(struct file_job *job, int error, const char *format, ...)
{
	va_list args;

	job->result = error;
	va_start(args, format);
	vsnprintf(job->why, sizeof(job->why), format, args);
	va_end(args);
}

/* ------------------------------------------------------------ open, close */

/* What direct IO on it wants to be multiples of. */
static int direct_alignment(struct pirn_file *file, int fd)
{
	int block;

	file->memory_align = 512;
	if (file->block) {
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

/* What open(2) gave is something we do IO on, and how. */
static void look_at(struct file_job *job, int fd)
{
	bool buffered = job->flags & PIRN_O_BUFFERED;
	struct pirn_file *file = job->file;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st)) {
		job->result = -errno;
		return;
	}
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
		job_fail(job, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			 "%s: neither a regular file nor a block device",
			 job->path);
		return;
	}
	file->block = S_ISBLK(st.st_mode);
	file->block_bytes = 1;
	file->memory_align = 1;
	if (!buffered)
		err = direct_alignment(file, fd);
	/* io_uring takes O_NONBLOCK for "answer EAGAIN". */
	if (!err && fcntl(fd, F_SETFL, buffered ? 0 : O_DIRECT))
		err = -errno;
	job->result = err;
}

/*
 * A file that is made here must not stay when this fails, so it has to be known
 * which one was: O_EXCL tells.  What is there already may be a link to nothing,
 * which only an open without O_EXCL follows.
 */
static int open_path(struct file_job *job, int flags)
{
	int fd;

	if (flags & O_CREAT) {
		fd = open(job->path, flags | O_EXCL, job->mode);
		/* Direct IO is refused when the file has been made. */
		job->file->made = fd >= 0 ||
				  (errno == EINVAL && flags & O_DIRECT);
		if (fd >= 0 || errno != EEXIST || flags & O_EXCL)
			return fd;
	}
	return open(job->path, flags, job->mode);
}

/* Not what another has put in its place meanwhile.  @fd -1: it never opened. */
static void unmake(const struct file_job *job, int fd)
{
	struct stat made, named;

	if (!job->file->made)
		return;
	if (fd < 0 || (!fstat(fd, &made) && !lstat(job->path, &named) &&
		       made.st_dev == named.st_dev &&
		       made.st_ino == named.st_ino))
		unlink(job->path);
}

static void work_open(struct pirn_job *arg)
{
	struct file_job *job = container_of(arg, struct file_job, job);
	int flags = job->flags & ~(PIRN_O_BUFFERED | PIRN_O_RANDOM);
	int fd;

	flags |= O_CLOEXEC | O_NONBLOCK;	/* a FIFO must not hold us */
	if (!(job->flags & PIRN_O_BUFFERED))
		flags |= O_DIRECT;
	fd = open_path(job, flags);
	if (fd < 0) {
		int err = -errno;

		unmake(job, fd);
		job_fail(job, err, "%s: %s%s", job->path, strerror(-err),
			 err == -EINVAL && flags & O_DIRECT ?
			 ": its file system refuses O_DIRECT" : "");
		return;
	}
	look_at(job, fd);
	if (job->result) {
		unmake(job, fd);
		close(fd);
		return;
	}
	job->file->handle = fd;
}

int pirn_host_open(struct pirn_core *core, struct pirn_file *file,
		   const char *path, int flags, mode_t mode)
{
	struct file_job job = {
		.file = file, .path = path, .flags = flags, .mode = mode,
	};

	return file_job_run(core, &job, work_open, PIRN_HELP_OPEN);
}

static void close_now(struct pirn_file *file)
{
	close((int)file->handle);
	file->handle = -1;
}

static void work_close(struct pirn_job *arg)
{
	close_now(container_of(arg, struct file_job, job)->file);
}

static void work_open_undo(struct pirn_job *arg)
{
	struct file_job *job = container_of(arg, struct file_job, job);

	unmake(job, (int)job->file->handle);
	close_now(job->file);
}

void pirn_host_open_undo(struct pirn_core *core, struct pirn_file *file,
			 const char *path)
{
	struct file_job job = { .file = file, .path = path };

	file_job_run(core, &job, work_open_undo, PIRN_HELP_OPEN);
}

/* The last close of a file that has no name any more frees its blocks. */
void pirn_host_close(struct pirn_file *file)
{
	struct file_job job = { .file = file };
	struct pirn_core *core = pirn_this();

	if (core)
		file_job_run(core, &job, work_close, PIRN_HELP_OPEN);
	else
		close_now(file);	/* after the last turn of all cores */
}

/* ------------------------------------------------------------------- size */

/* Of what is open the kernel knows it: no disk is asked. */
int64_t pirn_host_size(struct pirn_file *file)
{
	int fd = (int)file->handle;
	struct stat st;
	uint64_t bytes;

	if (file->block)
		return ioctl(fd, BLKGETSIZE64, &bytes) ? -errno :
							 (int64_t)bytes;
	return fstat(fd, &st) ? -errno : st.st_size;
}

static void work_truncate(struct pirn_job *arg)
{
	struct file_job *job = container_of(arg, struct file_job, job);

	if (ftruncate((int)job->file->handle, (off_t)job->bytes))
		job->result = -errno;
}

int pirn_host_truncate(struct pirn_core *core, struct pirn_file *file,
		       uint64_t bytes)
{
	struct file_job job = { .file = file, .bytes = bytes };

	if (file->block)
		return pirn_fail(core, -EINVAL,
				 "a block device has no length to set");
	return file_job_run(core, &job, work_truncate, PIRN_HELP_TRUNCATE);
}

/* ------------------------------------------------------------------ names */

static void work_rename(struct pirn_job *arg)
{
	struct file_job *job = container_of(arg, struct file_job, job);

	if (rename(job->path, job->to))
		job_fail(job, -errno, "%s to %s: %s", job->path, job->to,
			 strerror(errno));
}

int pirn_host_rename(struct pirn_core *core, const char *from, const char *to)
{
	struct file_job job = { .path = from, .to = to };

	return file_job_run(core, &job, work_rename, PIRN_HELP_NAME);
}

static void work_unlink(struct pirn_job *arg)
{
	struct file_job *job = container_of(arg, struct file_job, job);

	if (unlink(job->path))
		job_fail(job, -errno, "%s: %s", job->path, strerror(errno));
}

int pirn_host_unlink(struct pirn_core *core, const char *path)
{
	struct file_job job = { .path = path };

	return file_job_run(core, &job, work_unlink, PIRN_HELP_NAME);
}

static void work_dir_sync(struct pirn_job *arg)
{
	struct file_job *job = container_of(arg, struct file_job, job);
	int fd = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		job_fail(job, -errno, "%s: %s", job->path, strerror(errno));
		return;
	}
	if (fsync(fd))
		job_fail(job, -errno, "fsync of %s: %s", job->path,
			 strerror(errno));
	close(fd);
}

int pirn_host_dir_sync(struct pirn_core *core, const char *path)
{
	struct file_job job = { .path = path };

	return file_job_run(core, &job, work_dir_sync, PIRN_HELP_SYNC);
}
