// SPDX-License-Identifier: MIT
/*
 * What a range of a file holds, without data that moves: blocks allocated or
 * given back, zeroes, and what may be forgotten.  Ops like reads and writes, of
 * one piece whatever their length.
 */
#include <linux/falloc.h>

#include "backend.h"
#include "lib.h"

static int check_range(struct pirn_core *core, const struct pirn_file *file,
		       uint64_t offset, uint64_t bytes)
{
	if (!bytes)
		return pirn_fail(core, -EINVAL, "a length of no bytes");
	if ((offset | bytes) & (file->block_bytes - 1))
		return pirn_fail(core, -EINVAL,
				 "offset %llu and length %llu are not multiples of the block size %u",
				 (unsigned long long)offset,
				 (unsigned long long)bytes, file->block_bytes);
	if ((offset | bytes | (offset + bytes)) >> 63)
		return pirn_fail(core, -EINVAL,
				 "offset %llu and length %llu pass 2^63",
				 (unsigned long long)offset,
				 (unsigned long long)bytes);
	return 0;
}

static int run(struct pirn_core *core, struct pirn_op *op)
{
	int err = check_range(core, op->file, op->offset, op->range);

	if (err)
		return err;
	op->file_slot = pirn_file_slot(core, op->file);
	if (op->file_slot < 0)
		return op->file_slot;
	err = pirn_op_run(core, op);
	if (op->refused)
		return pirn_fail_plain(core, err);
	if (err == -EOPNOTSUPP)
		return pirn_fail(core, err,
				 "this %s cannot do that",
				 op->file->block ? "device" : "file system");
	return err ? pirn_device_error(core, err) : 0;
}

static int fallocate_range(struct pirn_file *file, int mode, uint64_t offset,
			   uint64_t bytes)
{
	struct pirn_core *core = pirn_this();
	struct pirn_op op = {
		.kind = PIRN_IO_FALLOCATE, .file = file,
		.mode = (uint32_t)mode, .offset = offset, .range = bytes,
	};
	int err;

	if (!core)
		return -EPERM;
	err = pirn_write_check(core, file);
	if (err)
		return err;
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return run(core, &op);
	default:
		return pirn_fail(core, -EOPNOTSUPP,
				 "pirn_fallocate: mode 0x%x is none of those there are",
				 (unsigned int)mode);
	}
}

/* ---------------------------------------------------------------- public */

int pirn_fallocate(struct pirn_file *file, int mode, uint64_t offset,
		   uint64_t bytes)
{
	return fallocate_range(file, mode, offset, bytes);
}

int pirn_write_zeroes(struct pirn_file *file, uint64_t offset, uint64_t bytes)
{
	return fallocate_range(file, FALLOC_FL_ZERO_RANGE, offset, bytes);
}

int pirn_discard(struct pirn_file *file, uint64_t offset, uint64_t bytes)
{
	struct pirn_core *core = pirn_this();
	struct pirn_op op = {
		.kind = PIRN_IO_DISCARD, .file = file, .offset = offset,
		.range = bytes,
	};
	int err;

	if (!core)
		return -EPERM;
	err = pirn_write_check(core, file);
	if (err)
		return err;
	if (!file->block)
		return pirn_fail(core, -EOPNOTSUPP,
				 "pirn_discard: not a block device: pirn_fallocate() punches holes in files");
	return run(core, &op);
}
