// SPDX-License-Identifier: MIT
/*
 * pirn cp: both sides.  cp_look() refuses by name and kind before a runtime is
 * started; cp_open() and what follows run in the main fiber.  Nothing is
 * written, and no file emptied, before everything that can be checked was.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cp.h"

static int check_kind(struct cp_side *side)
{
	if (S_ISDIR(side->stat.st_mode)) {
		complain("%s is a directory; %s is a file or a block device",
			 side->path, side->name);
		return -EISDIR;
	}
	side->is_device = S_ISBLK(side->stat.st_mode);
	if (!side->is_device && !S_ISREG(side->stat.st_mode)) {
		complain("%s is neither a file nor a block device", side->path);
		return -EINVAL;
	}
	return 0;
}

/* The device that a partition is a part of; any other device itself. */
static dev_t whole_device(dev_t dev)
{
	unsigned int major, minor;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition",
		 major(dev), minor(dev));
	if (access(path, F_OK) < 0)
		return dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev),
		 minor(dev));
	file = fopen(path, "re");
	if (!file)
		return dev;
	if (fscanf(file, "%u:%u", &major, &minor) == 2)
		dev = makedev(major, minor);
	fclose(file);
	return dev;
}

static int check_same(const struct cp *cp)
{
	const struct stat *s = &cp->src.stat, *d = &cp->dst.stat;

	if (cp->src.is_device != cp->dst.is_device)
		return 0;
	if (!cp->src.is_device) {
		if (s->st_dev != d->st_dev || s->st_ino != d->st_ino)
			return 0;
	} else if (s->st_rdev != d->st_rdev &&
		   whole_device(s->st_rdev) != d->st_rdev &&
		   whole_device(d->st_rdev) != s->st_rdev) {
		return 0;
	}
	complain("%s and %s are the same, or one holds the other: nothing was copied",
		 cp->src.path, cp->dst.path);
	return -EINVAL;
}

/*
 * A mistyped device must not become a file in memory.  What is mounted below
 * /dev, as /dev/shm, is another file system and no concern here.
 */
static int check_new(const struct cp_side *side)
{
	struct stat dev, parent;
	char *path = strdup(side->path);
	bool wrong;

	if (!path)
		return -ENOMEM;
	wrong = stat("/dev", &dev) == 0 && stat(dirname(path), &parent) == 0 &&
		dev.st_dev == parent.st_dev;
	free(path);
	if (!wrong)
		return 0;
	complain("%s: no such device, and no place for a file", side->path);
	return -ENODEV;
}

int cp_look(struct cp *cp)
{
	int err;

	if (stat(cp->src.path, &cp->src.stat) < 0) {
		complain("%s: %s", cp->src.path, strerror(errno));
		return -ENOENT;
	}
	err = check_kind(&cp->src);
	if (err)
		return err;
	cp->dst_exists = stat(cp->dst.path, &cp->dst.stat) == 0;
	if (!cp->dst_exists) {
		if (errno == ENOENT)
			return check_new(&cp->dst);
		complain("%s: %s", cp->dst.path, strerror(errno));
		return -EINVAL;
	}
	err = check_kind(&cp->dst);
	return err ? err : check_same(cp);
}

static int complain_side(const struct cp_side *side, int err)
{
	if (err == -EBUSY && side->is_device)
		complain("%s: in use, mounted or part of another device",
			 side->path);
	else if (err == -EEXIST)
		complain("%s: a symbolic link to nothing, or was made by another just now",
			 side->path);
	else
		open_complain(side->path, err);
	return err;
}

/* Opens for direct IO, or through the page cache where that is refused. */
static int open_side(struct cp_side *side, int flags, mode_t mode)
{
	int err = pirn_open(&side->file, side->path, flags, mode);

	if (err == -EINVAL || err == -EOPNOTSUPP) {
		flags |= PIRN_O_BUFFERED;
		err = pirn_open(&side->file, side->path, flags, mode);
		if (err == 0)
			complain("%s: no direct IO here, going through the page cache",
				 side->path);
	}
	if (err < 0)
		return complain_side(side, err);
	side->block = pirn_block_bytes(side->file);
	return 0;
}

static int open_dst(struct cp *cp)
{
	/*
	 * Only what needs to read gets to: a device whose last block is written
	 * in part, and what is verified.
	 */
	int flags = cp->dst.is_device || cp->verify ? O_RDWR : O_WRONLY;
	mode_t mode = 0666;

	if (!cp->src.is_device)
		mode = cp->src.stat.st_mode & 0777;
	/*
	 * O_EXCL on a device: not one that is mounted or part of another.  A
	 * file is emptied later, when nothing can be refused any more.
	 */
	if (!cp->dst_exists)
		flags |= O_CREAT | O_EXCL;
	else if (cp->dst.is_device)
		flags |= O_EXCL;
	return open_side(&cp->dst, flags, mode);
}

/* What only the open sides tell. */
static int check_fit(struct cp *cp)
{
	uint32_t block = cp->src.block > cp->dst.block ? cp->src.block :
							 cp->dst.block;
	int64_t room, size = pirn_size(cp->src.file);

	if (size < 0)
		return complain_side(&cp->src, (int)size);
	cp->size = (uint64_t)size;
	if (cp->chunk % block) {
		complain("--chunk=%u is no multiple of %u, the block size here",
			 cp->chunk, block);
		return -EINVAL;
	}
	if (!cp->dst.is_device)
		return 0;
	room = pirn_size(cp->dst.file);
	if (room < 0)
		return complain_side(&cp->dst, (int)room);
	if (room < size) {
		complain("%s holds %lld bytes and %s has %lld: nothing was written",
			 cp->dst.path, (long long)room, cp->src.path,
			 (long long)size);
		return -ENOSPC;
	}
	return 0;
}

int cp_open(struct cp *cp)
{
	int err;

	err = open_side(&cp->src, O_RDONLY, 0);
	if (err < 0)
		return err;
	err = open_dst(cp);
	if (err < 0)
		goto close_src;
	err = check_fit(cp);
	if (err < 0)
		goto close_dst;
	return 0;
close_dst:
	pirn_close(cp->dst.file);
	if (!cp->dst_exists)
		unlink(cp->dst.path);
close_src:
	pirn_close(cp->src.file);
	return err;
}

int cp_empty_dst(struct cp *cp)
{
	int err;

	if (cp->dst.is_device || !cp->dst_exists)
		return 0;
	err = pirn_truncate(cp->dst.file, 0);
	if (err < 0)
		complain("emptying %s: %s", cp->dst.path, strerror(-err));
	return err;
}

int cp_finish_dst(struct cp *cp)
{
	int err;

	/* The last block was written whole, zeroes behind the end. */
	if (!cp->dst.is_device && cp->size % cp->dst.block) {
		err = pirn_truncate(cp->dst.file, cp->size);
		if (err < 0) {
			complain("setting the length of %s: %s", cp->dst.path,
				 strerror(-err));
			return err;
		}
	}
	err = pirn_fsync(cp->dst.file);
	if (err < 0)
		complain("fsync of %s: %s: the copy may not be durable",
			 cp->dst.path, strerror(-err));
	return err;
}

void cp_close(struct cp *cp)
{
	pirn_close(cp->dst.file);
	pirn_close(cp->src.file);
}
