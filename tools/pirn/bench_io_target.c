// SPDX-License-Identifier: MIT
/* pirn bench io: what is read, a device or file named, or a file made for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bench_io.h"

#define SCRATCH_BYTES		(64u << 20)
#define SCRATCH_QUICK_BYTES	(4u << 20)

/*
 * The block layer's scheduler, "none" or a name: mq-deadline makes a read cost
 * either side up to half as much again.  A partition's queue is its whole
 * device's.
 */
static void read_scheduler(dev_t dev, char *text, size_t bytes)
{
	static const char *const places[] = { "", "../" };
	char path[80], line[128], *from;
	FILE *file = NULL;
	size_t i;

	for (i = 0; i < 2 && !file; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/scheduler",
			 major(dev), minor(dev), places[i]);
		file = fopen(path, "re");
	}
	if (!file)
		return;
	/* The one in use stands in brackets, among others. */
	if (fgets(line, sizeof(line), file)) {
		from = strchr(line, '[');
		from = from ? from + 1 : line;
		snprintf(text, bytes, "%.*s", (int)strcspn(from, "]\n"), from);
	}
	fclose(file);
}

static int target_bytes(struct io_bench *bench, int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	if (!S_ISBLK(st.st_mode))
		return S_ISREG(st.st_mode) ? 0 : -ENOTBLK;
	read_scheduler(st.st_rdev, bench->scheduler, sizeof(bench->scheduler));
	return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
}

static int look(struct io_bench *bench)
{
	uint64_t bytes;
	int err, fd;

	fd = open(bench->target, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 && errno == EINVAL) {
		bench->buffered = true;
		fd = open(bench->target, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		complain("%s: %s", bench->target, strerror(errno));
		return -errno;
	}
	err = target_bytes(bench, fd, &bytes);
	close(fd);
	if (err == -ENOTBLK)
		complain("%s is neither a file nor a block device", bench->target);
	else if (err)
		complain("%s: %s", bench->target, strerror(-err));
	if (err)
		return err;
	bench->blocks = bytes / bench->bytes;
	if (!bench->blocks) {
		complain("%s holds %llu bytes, less than one read of %u",
			 bench->target, (unsigned long long)bytes, bench->bytes);
		return -EINVAL;
	}
	if (bench->buffered)
		complain("%s: no direct IO here, both sides go through the page cache",
			 bench->target);
	return 0;
}

/*
 * Written, so that its blocks are on the disk, and without a name from the
 * start, so that nothing is left behind however this ends.
 */
static int scratch_make(struct io_bench *bench)
{
	const char *dir = getenv("TMPDIR");
	size_t left = bench->bench->quick ? SCRATCH_QUICK_BYTES : SCRATCH_BYTES;
	static uint64_t piece[1 << 13];
	char path[512];
	int err;

	snprintf(path, sizeof(path), "%s/pirn-bench-XXXXXX",
		 dir && *dir ? dir : "/var/tmp");
	bench->scratch_fd = mkostemp(path, O_CLOEXEC);
	if (bench->scratch_fd < 0)
		goto fail;
	unlink(path);
	for (size_t i = 0; i < sizeof(piece) / sizeof(piece[0]); i++)
		piece[i] = i * 0x9e3779b97f4a7c15ull;
	for (; left; left -= sizeof(piece)) {
		if (write(bench->scratch_fd, piece, sizeof(piece)) !=
		    (ssize_t)sizeof(piece))
			goto fail;
	}
	if (fsync(bench->scratch_fd))
		goto fail;
	if (asprintf(&bench->scratch, "/proc/self/fd/%d", bench->scratch_fd) < 0)
		goto fail;
	bench->target = bench->scratch;
	return 0;

fail:
	err = errno ? -errno : -ENOSPC;
	complain("a file to read, %s: %s; name one: --target=PATH", path,
		 strerror(-err));
	return err;
}

int io_target_open(struct io_bench *bench)
{
	int err = 0;

	bench->scratch_fd = -1;
	if (!bench->target)
		err = scratch_make(bench);
	return err ? err : look(bench);
}

void io_target_close(struct io_bench *bench)
{
	free(bench->scratch);
	if (bench->scratch_fd >= 0)
		close(bench->scratch_fd);
}
