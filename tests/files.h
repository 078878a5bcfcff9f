/* SPDX-License-Identifier: MIT */
/*
 * For the programs about targets that are files: two file systems, mounted by
 * main() before the first case, and a rig on a file of one.
 */
#ifndef PIRN_TESTS_FILES_H
#define PIRN_TESTS_FILES_H

#include "hung_disk.h"

#define FS_DISK "/dev/nvme0n1"

static const struct fs {
	const char *name;
	const char *make;	/* with quotas, which are all on */
	const char *mount;
	const char *dir;
} file_systems[] = {
	{ "ext4", "mkfs.ext4 -q -F -O quota,inline_data " FS_DISK,
	  "mount -o usrquota " FS_DISK " /run/pirn-fs", "/run/pirn-fs" },
	{ "xfs", "mkfs.xfs -q -f " FS_DISK,
	  "mount -o uquota " FS_DISK " /run/pirn-fs", "/run/pirn-fs" },
};

/* The one the current case runs on. */
static const struct fs *fs;

static inline void fs_mount(const struct fs *which)
{
	fs = which;
	/* a case that failed has left it */
	umount2(fs->dir, MNT_DETACH);
	if (mkdir(fs->dir, 0755))
		check_eq(errno, EEXIST);
	shell(fs->make);
	shell(fs->mount);
}

static inline void fs_unmount(void)
{
	/* Nothing of the module holds it, once a worker is done that closes. */
	for (unsigned int i = 0; umount(fs->dir); i++) {
		if (errno != EBUSY || i == 100)
			check_failed(__FILE__, __LINE__, "umount of %s: %s",
				     fs->name, strerror(errno));
		nap_ms(50);
	}
}

/* The case on each file system, which is whole and not used afterwards. */
#define ON_EACH_FS(body)                                                      \
	do {                                                                  \
		for (size_t i_ = 0; i_ < array_size(file_systems); i_++) {    \
			fs_mount(&file_systems[i_]);                          \
			body();                                               \
			fs_unmount();                                         \
		}                                                             \
	} while (0)

static inline const char *fs_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fs->dir, name);
	return path;
}

/* A file of @bytes that are written, not cached, and filled with seed 1. */
static inline int file_filled(const char *path, size_t bytes)
{
	int fd = must(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	char *buf = malloc(bytes);

	check(buf);
	fill(buf, bytes, 0, 1);
	check_eq(pwrite(fd, buf, bytes, 0), bytes);
	must(fsync(fd));
	check_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	free(buf);
	return fd;
}

/* Target 0 is @path, opened with @flags, pool 0 is of @pool bytes. */
static inline void file_rig(struct rig *rig, const char *path, int flags,
			    size_t pool)
{
	channel_open(&rig->ch, 64, 64);
	pool_open(&rig->pool, pool);
	check_eq(must(attach_pool_fd(&rig->ch, rig->pool.fd)), 0);
	check_eq(attach_disk(&rig->ch, path, flags), 0);
}

static inline int rig_sync(struct rig *rig, int op)
{
	return rig_io(rig, op, 0, 0, 0);
}

static inline int rig_range(struct rig *rig, int op, uint64_t offset,
			    uint64_t bytes, uint32_t mode)
{
	struct pirn_sqe sqe = { .op = (uint8_t)op, .offset = offset };

	sqe.bytes = bytes;
	sqe.mode = mode;
	return do_sqe(&rig->ch, &sqe);
}

static inline int rig_flags(struct rig *rig, int op, uint64_t offset,
			    uint64_t pool_offset, uint32_t len, uint16_t flags)
{
	struct pirn_sqe sqe = io_sqe(op, offset, pool_offset, len);

	sqe.flags = flags;
	return do_sqe(&rig->ch, &sqe);
}

#endif /* PIRN_TESTS_FILES_H */
