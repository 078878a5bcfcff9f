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
#include "mailbox.h"

#define OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | \
		    PIRN_O_BUFFERED | PIRN_O_RANDOM)

/* What a core may do with the file, in one look for each op. */
static void allow(const struct pirn_file *file, struct pirn_file_slot *on)
{
	int mode = file->flags & O_ACCMODE;
	bool there = on->slot >= 0 && !on->closed;

	on->reads = there && mode != O_WRONLY;
	on->writes = there && mode != O_RDONLY;
}

int pirn_file_attach(struct pirn_core *core, struct pirn_file *file)
{
	struct pirn_file_slot *on = &file->on[core->index];

	on->slot = core->ops->file_attach(core, file);
	allow(file, on);
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
	file->handle = -1;
	for (uint32_t i = 0; i < rt->cores; i++)
		file->on[i].slot = -1;
	return file;
}

static void file_forget(struct pirn_file *file)
{
	struct pirn_runtime *rt = file->rt;

	pthread_mutex_lock(&rt->lock);
	*file->link = file->next;
	if (file->next)
		file->next->link = file->link;
	pthread_mutex_unlock(&rt->lock);
	free(file);
}

/*
 * Closes for good: no core has it attached any more, or all have ended.  It is
 * listed until it is closed, and before it is opened: the runtime may end while
 * the fiber is parked in either, and closes then what is listed.
 */
void pirn_file_free(const struct pirn_backend_ops *ops, struct pirn_file *file)
{
	if (file->handle != -1)
		ops->file_close(file);
	file_forget(file);
}

static void file_list(struct pirn_runtime *rt, struct pirn_file *file)
{
	pthread_mutex_lock(&rt->lock);
	file->next = rt->files;
	file->link = &rt->files;
	if (file->next)
		file->next->link = &file->next;
	rt->files = file;
	pthread_mutex_unlock(&rt->lock);
}

/* Whether this core may work on the file now. */
int pirn_file_check(struct pirn_core *core, const struct pirn_file *file)
{
	if (!file || file->rt != core->rt)
		return pirn_fail(core, -EINVAL, "not a file of this runtime");
	if (file->on[core->index].closed)
		return pirn_fail(core, -EBADF, "the file is being closed");
	return 0;
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
				 "pirn_open: of flags 0x%x some are not known",
				 (unsigned int)flags);
	if (flags & O_TRUNC && (flags & O_ACCMODE) == O_RDONLY)
		return pirn_fail(core, -EINVAL,
				 "pirn_open: O_TRUNC of what is opened for reading only");
	err = pirn_wait_refused(core->current);
	if (err)
		return err;
	file = file_make(core->rt);
	if (!file)
		return pirn_fail(core, -ENOMEM, "no memory for a file");
	file->flags = flags;
	file->home = core->index;
	file_list(core->rt, file);
	err = core->ops->file_open(core, file, path, flags, mode);
	if (err) {
		file_forget(file);
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
	allow(file, on);
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
	struct pirn_file_slot *on = &file->on[pirn_this_core->index];

	on->closed = false;
	allow(file, on);
	return 0;
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
	if (atomic_exchange(&file->closing, true))
		return pirn_fail(core, -EBUSY,
				 "pirn_close: the file is being closed already");
	for (i = 0; i < core->rt->cores && !err; i++)
		err = pirn_call_inline(core, i, close_begin, file);
	if (err) {
		while (i-- > 0)
			pirn_call_inline(core, i, close_undo, file);
		atomic_store(&file->closing, false);
		return pirn_fail(core, err,
				 "pirn_close: an op on the file is under way");
	}
	for (i = 0; i < core->rt->cores; i++)
		pirn_call_inline(core, i, close_end, file);
	pirn_file_free(core->ops, file);
	return 0;
}

int64_t pirn_size(struct pirn_file *file)
{
	struct pirn_core *core = pirn_this();
	int64_t bytes;
	int err;

	if (!core)
		return -EPERM;
	err = pirn_file_check(core, file);
	if (err)
		return err;
	bytes = core->ops->file_size(file);
	return bytes < 0 ? pirn_fail_plain(core, (int)bytes) : bytes;
}

int pirn_truncate(struct pirn_file *file, uint64_t bytes)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	err = pirn_file_check(core, file);
	if (err)
		return err;
	if (bytes > INT64_MAX)
		return pirn_fail(core, -EINVAL, "pirn_truncate: too long");
	err = pirn_wait_refused(core->current);
	if (err)
		return err;
	file->on[core->index].busy++;
	err = core->ops->file_truncate(core, file, bytes);
	file->on[core->index].busy--;
	return err;
}

int pirn_rename(const char *from, const char *to)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	if (!from || !to)
		return pirn_fail(core, -EINVAL, "pirn_rename: a path is NULL");
	err = pirn_wait_refused(core->current);
	if (err)
		return err;
	return core->ops->rename(core, from, to);
}

int pirn_unlink(const char *path)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	if (!path)
		return pirn_fail(core, -EINVAL, "pirn_unlink: path is NULL");
	err = pirn_wait_refused(core->current);
	if (err)
		return err;
	return core->ops->unlink(core, path);
}

int pirn_sync_dir(const char *path)
{
	struct pirn_core *core = pirn_this();
	int err;

	if (!core)
		return -EPERM;
	if (!path)
		return pirn_fail(core, -EINVAL, "pirn_sync_dir: path is NULL");
	err = pirn_wait_refused(core->current);
	if (err)
		return err;
	return core->ops->dir_sync(core, path);
}

uint32_t pirn_block_bytes(const struct pirn_file *file)
{
	return file->block_bytes;
}

uint32_t pirn_memory_align(const struct pirn_file *file)
{
	return file->memory_align;
}
