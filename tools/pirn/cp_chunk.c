// SPDX-License-Identifier: MIT
/*
 * pirn cp: one chunk.  Direct IO moves whole blocks, and only the last chunk of
 * SRC can end inside one.
 */
#include <string.h>

#include "cp.h"

/*
 * Makes the @bytes in @buf whole blocks of DST.  Behind the end of a file come
 * zeroes, which the truncate at the end takes away; a device keeps what it has
 * there.  @spare holds a chunk.
 */
static int fill_last_block(struct cp *cp, char *buf, char *spare,
			   uint64_t offset, uint32_t bytes)
{
	uint32_t block = cp->dst.block, tail = bytes % block;
	int err;

	if (!cp->dst.is_device) {
		memset(buf + bytes, 0, block - tail);
		return 0;
	}
	err = cp_read(cp, &cp->dst, spare, offset + bytes - tail, block);
	if (!err)
		memcpy(buf + bytes, spare + tail, block - tail);
	return err;
}

int cp_copy_chunk(struct cp *cp, void *const *bufs, uint64_t offset,
		  uint32_t bytes)
{
	ssize_t n;
	int err;

	err = cp_read(cp, &cp->src, bufs[0], offset, bytes);
	if (!err && bytes % cp->dst.block)
		err = fill_last_block(cp, bufs[0], bufs[1], offset, bytes);
	if (err)
		return err;
	n = pirn_pwrite(cp->dst.file, bufs[0],
			cp_round_up(bytes, cp->dst.block), offset, 0);
	if (n < 0)
		return cp_fail(cp, (int)n, "writing", cp->dst.path, offset);
	return 0;
}
