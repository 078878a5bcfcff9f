// SPDX-License-Identifier: MIT
/*
 * Files: opening, closing, and what a core calls them.
 *
 * A file is opened once for the whole runtime.  A core attaches it to its own
 * channel or ring at its first op on it, and the slot it got is kept in a line
 * of the file that only this core touches.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "backend.h"
#include "lib.h"

#define OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | \
		    PIRN_O_BUFFERED | PIRN_O_RANDOM)

int pirn_file_attach(struct pirn_core *core, struct pirn_file *file)
{
	struct pirn_file_slot *on = &file->on[core->index];

	on->slot = core->ops->file_attach(core, file);
	return on->slot;
}

static struct pirn_file *file_make(struct pirn_runtime *rt)
{
	struct pirn_file *file;
	size_t bytes = sizeof(*file) + rt->cores * sizeof(file->on[0]);

	file = aligned_alloc(PIRN_LINE,
			     (bytes + PIRN_LINE - 1) & ~(size_t)(PIRN_LINE - 1));
	if (!file)
		return NULL;
	memset(file, 0, bytes);
	file->rt = rt;
	file->fd = -1;
	for (uint32_t i = 0; i < rt->cores; i++)
		file->on[i].slot = -1;
	return file;
}

/* ---------------------------------------------------------------- public */

int pirn_open(struct pirn_file **out, const char *path, int flags, mode_t mode)
{
	struct pirn_core *core = pirn_this();
	struct pirn_file *file;
	int err;

	if (!core)
		return -EPERM;
	if (!out || !path)
		return pirn_fail(core, -EINVAL, "pirn_open: file or path is NULL");
	if (flags & ~OPEN_FLAGS || (flags & O_ACCMODE) == O_ACCMODE)
		return pirn_fail(core, -EINVAL,
				 "pirn_open: flags 0x%x are not known",
				 (unsigned int)(flags & ~OPEN_FLAGS));
	file = file_make(core->rt);
	if (!file)
		return pirn_fail(core, -ENOMEM, "no memory for a file");
	file->flags = flags;
	err = core->ops->file_open(core, file, path, flags, mode);
	if (err) {
		free(file);
		return err;
	}
	*out = file;
	return 0;
}

/* The two halves of closing, run on each core in turn. */
static int close_begin(void *arg)
{
	struct pirn_file *file = arg;
	struct pirn_file_slot *on = &file->on[pirn_this_core->index];

	if (on->busy)
		return -EBUSY;
	on->closed = true;
	return 0;
}

static int close_end(void *arg)
{
	struct pirn_file *file = arg;
	struct pirn_core *core = pirn_this_core;
	struct pirn_file_slot *on = &file->on[core->index];

	if (on->slot >= 0)
		core->ops->file_detach(core, on->slot);
	on->slot = -1;
	return 0;
}

static int close_undo(void *arg)
{
	struct pirn_file *file = arg;

	file->on[pirn_this_core->index].closed = false;
	return 0;
}

static int on_core(uint32_t to, int (*fn)(void *arg), void *arg)
{
	int result, err;

	if (to == pirn_this_core->index)
		return fn(arg);
	err = pirn_call(to, fn, arg, &result);
	return err ? err : result;
}

int pirn_close(struct pirn_file *file)
{
	struct pirn_core *core = pirn_this();
	uint32_t i;
	int err = 0;

	if (!core)
		return -EPERM;
	if (!file || file->rt != core->rt)
		return pirn_fail(core, -EINVAL,
				 "pirn_close: not a file of this runtime");
	for (i = 0; i < core->rt->cores && !err; i++)
		err = on_core(i, close_begin, file);
	if (err) {
		while (i-- > 0)
			on_core(i, close_undo, file);
		return pirn_fail(core, err, err == -EBUSY ?
				 "pirn_close: an op on the file is under way" :
				 "pirn_close: a core could not be reached");
	}
	for (i = 0; i < core->rt->cores; i++) {
		err = on_core(i, close_end, file);
		/* No fiber could be made there: its slot stays taken. */
		if (err)
			pirn_fail(core, err, "core %u keeps the file's slot", i);
	}
	core->ops->file_close(file);
	free(file);
	return 0;
}

int64_t pirn_size(struct pirn_file *file)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!file)
		return pirn_fail(core, -EINVAL, "pirn_size: file is NULL");
	return core->ops->file_size(file);
}

int pirn_truncate(struct pirn_file *file, uint64_t bytes)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	if (!file || file->block_device || bytes > INT64_MAX)
		return pirn_fail(core, -EINVAL,
				 "pirn_truncate: not a regular file, or too long");
	return core->ops->file_truncate(file, bytes);
}

uint32_t pirn_block_bytes(const struct pirn_file *file)
{
	return file->block_bytes;
}

uint32_t pirn_memory_align(const struct pirn_file *file)
{
	return file->memory_align;
}
