// SPDX-License-Identifier: MIT
/* pirn cp --verify: reads both sides again and compares them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cp.h"

/* The least of what all cores found. */
static void note_difference(struct cp *cp, uint64_t offset)
{
	uint64_t least = atomic_load(&cp->differs);

	while (offset < least &&
	       !atomic_compare_exchange_weak(&cp->differs, &least, offset))
		;
}

static int verify_chunk(struct cp *cp, void *const *bufs, uint64_t offset,
			uint32_t bytes)
{
	const char *a = bufs[0], *b = bufs[1];
	uint32_t i = 0;
	int err;

	/* The counter only grows: whoever is before the difference goes on. */
	if (offset > atomic_load(&cp->differs))
		return 0;
	err = cp_read(cp, &cp->src, bufs[0], offset, bytes);
	if (!err)
		err = cp_read(cp, &cp->dst, bufs[1], offset, bytes);
	if (err || !memcmp(a, b, bytes))
		return err;
	while (a[i] == b[i])
		i++;
	note_difference(cp, offset + i);
	return 0;
}

/* A buffered DST would be compared with the page cache, not with the disk. */
static void drop_cache(const struct cp_side *side)
{
	int fd = open(side->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

int cp_verify(struct cp *cp)
{
	int64_t size = cp->dst.is_device ? 0 : pirn_size(cp->dst.file);
	uint64_t differs;
	int err;

	if (cp->dst.block == 1)
		drop_cache(&cp->dst);
	if (!cp->dst.is_device && size != (int64_t)cp->size) {
		complain("%s has %lld bytes and should have %llu", cp->dst.path,
			 (long long)size, (unsigned long long)cp->size);
		return -EIO;
	}
	atomic_store(&cp->differs, UINT64_MAX);
	err = cp_pass(cp, "verified", verify_chunk);
	if (err) {
		cp_complain(cp);
		return err;
	}
	differs = atomic_load(&cp->differs);
	if (differs == UINT64_MAX)
		return 0;
	complain("%s differs from %s, first at offset %llu", cp->dst.path,
		 cp->src.path, (unsigned long long)differs);
	return -EIO;
}
