// SPDX-License-Identifier: MIT
/*
 * Names, and files as the library opens them.
 *
 * A name is a path; its directory is what comes before the last slash, and need
 * not be made.  What is done to names is seen at once, and durable when the
 * directory of one of them was synced: a list holds the changes in between.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim.h"

/* ------------------------------------------------------------------ names */

/*
 * The one spelling of a path: no empty part, no ".", no ".." that has a part
 * before it.  Of a directory "." is the one that relative names are in.
 */
static char *spell(const char *path)
{
	char *out = malloc(strlen(path) + 2), *to = out;
	bool root = *path == '/';

	if (!out)
		return NULL;
	if (root)
		*to++ = '/';
	while (*path) {
		size_t n = strcspn(path, "/");
		char *start = out + root, *last = to;
		bool up = n == 2 && !memcmp(path, "..", 2);

		while (last > start && last[-1] != '/')
			last--;
		if (up && to > start && !(to - last == 2 && !memcmp(last, "..", 2))) {
			to = last > start ? last - 1 : start;
		} else if (n && !(n == 1 && *path == '.') && !(up && root)) {
			if (to > start)
				*to++ = '/';
			memcpy(to, path, n);
			to += n;
		}
		path += n + (path[n] == '/');
	}
	if (to == out)
		*to++ = '.';
	*to = '\0';
	return out;
}

static bool is_in(const struct sim_name *name, const char *dir)
{
	const char *slash = strrchr(name->path, '/');
	size_t n = slash ? (size_t)(slash - name->path) : 0;

	if (!slash)
		return !strcmp(dir, ".");
	if (!n)
		return !strcmp(dir, "/");
	return strlen(dir) == n && !memcmp(dir, name->path, n);
}

static struct sim_name *name_add(struct sim_names *names, char *path)
{
	struct sim_name *name, **table;

	if (names->count == names->room) {
		uint32_t room = names->room * 2 + 16;

		table = realloc(names->name, room * sizeof(struct sim_name *));
		if (!table)
			return NULL;
		names->name = table;
		names->room = room;
	}
	name = calloc(1, sizeof(*name));
	if (!name)
		return NULL;
	name->path = path;
	names->name[names->count++] = name;
	return name;
}

/* Makes the name when it was never heard of; a name alone is no file. */
static int name_get(struct sim_node *node, const char *path,
		    struct sim_name **out)
{
	struct sim_names *names = &node->names;
	char *spelled = spell(path);

	if (!spelled)
		return -ENOMEM;
	for (uint32_t i = 0; i < names->count; i++) {
		if (!strcmp(names->name[i]->path, spelled)) {
			free(spelled);
			*out = names->name[i];
			return 0;
		}
	}
	*out = name_add(names, spelled);
	if (*out)
		return 0;
	free(spelled);
	return -ENOMEM;
}

static void set(struct sim_file **place, struct sim_file *file)
{
	struct sim_file *old = *place;

	if (file)
		file->refs++;
	*place = file;
	if (old)
		sim_file_put(old);
}

/* ---------------------------------------------------------------- changes */

/* @other NULL: @name alone. */
static int change_add(struct sim_node *node, struct sim_name *name,
		      struct sim_file *file, struct sim_name *other,
		      struct sim_file *other_file)
{
	struct sim_names *names = &node->names;
	struct sim_change *change = calloc(1, sizeof(*change));

	if (!change)
		return -ENOMEM;
	change->name[0] = name;
	change->name[1] = other;
	set(&change->file[0], file);
	set(&change->file[1], other_file);
	change->prev = names->last;
	*(names->last ? &names->last->next : &names->first) = change;
	names->last = change;
	/* The file a rename moves is in both places for a moment. */
	if (other)
		set(&other->seen, other_file);
	set(&name->seen, file);
	return 0;
}

static void change_end(struct sim_names *names, struct sim_change *change,
		       bool durable)
{
	for (uint32_t i = 2; i-- > 0;) {
		if (durable && change->name[i])
			set(&change->name[i]->durable, change->file[i]);
	}
	*(change->prev ? &change->prev->next : &names->first) = change->next;
	*(change->next ? &change->next->prev : &names->last) = change->prev;
	set(&change->file[0], NULL);
	set(&change->file[1], NULL);
	free(change);
}

static bool touches(const struct sim_change *a, const struct sim_change *b)
{
	for (uint32_t i = 0; i < 2; i++)
		for (uint32_t j = 0; j < 2; j++)
			if (a->name[i] && a->name[i] == b->name[j])
				return true;
	return false;
}

/* Those in the directory, and what they stand on: earlier ones of their names. */
static void sync_changes(struct sim_names *names, const char *dir)
{
	struct sim_change *change, *later, *next;

	for (change = names->last; change; change = change->prev) {
		change->picked = is_in(change->name[0], dir) ||
				 (change->name[1] &&
				  is_in(change->name[1], dir));
		for (later = change->next; later && !change->picked;
		     later = later->next)
			change->picked = later->picked && touches(later, change);
	}
	for (change = names->first; change; change = next) {
		next = change->next;
		if (change->picked)
			change_end(names, change, true);
	}
}

/* A change is undone alone, or with the later ones that stand on it. */
void sim_names_crash(struct sim_node *node)
{
	struct sim_names *names = &node->names;
	struct sim_change *change, *earlier, *next;
	uint64_t undone = 0, changes = 0;

	for (change = names->first; change; change = change->next) {
		change->picked = false;
		for (earlier = names->first; earlier != change && !change->picked;
		     earlier = earlier->next)
			change->picked = earlier->picked &&
					 touches(earlier, change);
		if (!change->picked)
			change->picked = sim_fault(node->sim, PIRN_SIM_NAMES,
						   node);
		changes++;
		undone += change->picked;
	}
	for (change = names->first; change; change = next) {
		next = change->next;
		change_end(names, change, !change->picked);
	}
	for (uint32_t i = 0; i < names->count; i++)
		set(&names->name[i]->seen, names->name[i]->durable);
	sim_mix(node->sim, changes << 32 | undone);
	sim_log(node->sim, node, -1,
		"names: of %llu changes not durable %llu are undone",
		(unsigned long long)changes, (unsigned long long)undone);
}

void sim_names_free(struct sim_node *node)
{
	struct sim_names *names = &node->names;

	while (names->first)
		change_end(names, names->first, false);
	for (uint32_t i = 0; i < names->count; i++) {
		set(&names->name[i]->seen, NULL);
		set(&names->name[i]->durable, NULL);
		free(names->name[i]->path);
		free(names->name[i]);
	}
	free(names->name);
	memset(names, 0, sizeof(*names));
}

/* ------------------------------------------------------------------ files */

int sim_names_disk(struct sim_node *node, const char *path, uint64_t bytes,
		   uint32_t block_bytes)
{
	struct sim_file *file;
	struct sim_name *name;
	int err = name_get(node, path, &name);

	if (err)
		return err;
	if (name->seen)
		return -EEXIST;
	file = sim_file_make(node);
	file->block = true;
	file->block_bytes = block_bytes;
	file->bytes = bytes;
	file->durable_bytes = bytes;
	set(&name->seen, file);
	set(&name->durable, file);
	sim_file_put(file);
	return 0;
}

/* A file the host has; its pages are read when they are first touched. */
static int import(struct sim_node *node, struct sim_name *name,
		  const char *path)
{
	struct sim_file *file;
	struct stat st;
	uint64_t bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -EIO;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		close(fd);
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes)) {
		close(fd);
		return -EIO;
	}
	file = sim_file_make(node);
	file->host_fd = fd;
	file->host_bytes = bytes;
	file->block = S_ISBLK(st.st_mode);
	file->block_bytes = node->sim->opt.block_bytes;
	file->bytes = bytes;
	file->durable_bytes = bytes;
	sim_mix(node->sim, bytes);
	set(&name->seen, file);
	set(&name->durable, file);
	sim_file_put(file);
	return 0;
}

static int create(struct sim_node *node, struct sim_name *name)
{
	struct sim_file *file = sim_file_make(node);
	int err;

	file->block_bytes = node->sim->opt.block_bytes;
	err = change_add(node, name, file, NULL, NULL);
	sim_file_put(file);
	return err;
}

/* The path of a directory: one that some file is in. */
static bool is_dir(const struct sim_node *node, const struct sim_name *name)
{
	for (uint32_t i = 0; i < node->names.count; i++)
		if (node->names.name[i]->seen &&
		    is_in(node->names.name[i], name->path))
			return true;
	return false;
}

/* Whether a file stands where the path wants a directory. */
static bool through_file(const struct sim_node *node, const char *path)
{
	for (uint32_t i = 0; i < node->names.count; i++) {
		const struct sim_name *name = node->names.name[i];
		size_t n = strlen(name->path);

		if (name->seen && !strncmp(path, name->path, n) &&
		    path[n] == '/')
			return true;
	}
	return false;
}

static int open_name(struct sim_node *node, struct sim_name *name,
		     const char *path, int flags)
{
	int err = 0;

	/* A name that once was here and is gone is not the host's again. */
	if (!name->seen && !name->heard && node->sim->opt.import)
		err = import(node, name, path);
	if (err)
		return err;
	name->heard = true;
	if (!name->seen && through_file(node, name->path))
		return -ENOTDIR;
	if (!name->seen && is_dir(node, name))
		return -EISDIR;
	if (!name->seen)
		return flags & O_CREAT ? create(node, name) : -ENOENT;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (flags & O_TRUNC && !name->seen->block)
		sim_data_truncate(name->seen, 0);
	return 0;
}

int sim_file_open(struct pirn_core *core, struct pirn_file *file,
		  const char *path, int flags, mode_t mode)
{
	struct sim_node *node = sim_node_of(core);
	struct sim_name *name;
	int err = *path ? name_get(node, path, &name) : -ENOENT;

	(void)mode;
	if (!err)
		err = open_name(node, name, path, flags);
	sim_mix(node->sim, (uint64_t)(uint32_t)flags << 32 | (uint32_t)err);
	if (err)
		return pirn_fail(core, err, "%s: %s", path, strerror(-err));
	name->seen->refs++;
	file->handle = (intptr_t)name->seen;
	file->block = name->seen->block;
	file->block_bytes = name->seen->block_bytes;
	file->memory_align = SIM_SECTOR;
	if (flags & PIRN_O_BUFFERED) {
		file->block_bytes = 1;
		file->memory_align = 1;
	}
	sim_log(node->sim, node, (int)core->index, "open %s: file %llu",
		name->path, (unsigned long long)name->seen->id);
	return 0;
}

void sim_file_close(struct pirn_file *file)
{
	sim_file_put((struct sim_file *)file->handle);
}

int64_t sim_file_size(struct pirn_file *file)
{
	return (int64_t)((struct sim_file *)file->handle)->bytes;
}

int sim_file_truncate(struct pirn_core *core, struct pirn_file *handle,
		      uint64_t bytes)
{
	struct sim_file *file = (struct sim_file *)handle->handle;
	struct sim_node *node = file->node;

	if (file->block || (handle->flags & O_ACCMODE) == O_RDONLY)
		return pirn_fail_plain(core, -EINVAL);
	if (bytes > SIM_MAX_FILE)
		return pirn_fail_plain(core, -EFBIG);
	sim_data_truncate(file, bytes);
	sim_mix(node->sim, bytes);
	sim_log(node->sim, node, (int)core->index, "truncate: file %llu %llu",
		(unsigned long long)file->id, (unsigned long long)bytes);
	return 0;
}

/* ----------------------------------------------------- renaming and the like */

static void say(struct pirn_core *core, const char *what, const char *path,
		const char *to, int err)
{
	struct sim_node *node = sim_node_of(core);

	sim_mix(node->sim, (uint64_t)(uint32_t)err << 32 | core->index);
	sim_mix_bytes(node->sim, path, strlen(path));
	sim_mix_bytes(node->sim, to, strlen(to));
	sim_log(node->sim, node, (int)core->index, "%s %s%s%s%s%s", what, path,
		*to ? " to " : "", to, err ? ": " : "",
		err ? strerror(-err) : "");
}

/* The name, of a file that is there, the host's too. */
static int existing(struct sim_node *node, const char *path,
		    struct sim_name **name)
{
	int err = *path ? name_get(node, path, name) : -ENOENT;

	if (!err)
		err = open_name(node, *name, path, 0);
	return err;
}

int sim_rename(struct pirn_core *core, const char *from, const char *to)
{
	struct sim_node *node = sim_node_of(core);
	struct sim_name *name, *other = NULL;
	int err = existing(node, from, &name);

	if (!err)
		err = *to ? name_get(node, to, &other) : -ENOENT;
	if (!err && other != name) {
		other->heard = true;
		err = change_add(node, name, NULL, other, name->seen);
	}
	say(core, "rename", from, to, err);
	sim_core_delay(core);
	return err ? pirn_fail(core, err, "%s to %s: %s", from, to,
			       strerror(-err)) : 0;
}

int sim_unlink(struct pirn_core *core, const char *path)
{
	struct sim_node *node = sim_node_of(core);
	struct sim_name *name;
	int err = existing(node, path, &name);

	if (!err)
		err = change_add(node, name, NULL, NULL, NULL);
	say(core, "unlink", path, "", err);
	sim_core_delay(core);
	return err ? pirn_fail(core, err, "%s: %s", path, strerror(-err)) : 0;
}

int sim_dir_sync(struct pirn_core *core, const char *path)
{
	struct sim_node *node = sim_node_of(core);
	char *dir;
	int err = 0;

	/* Nothing is held meanwhile: a crash would leave it to nobody. */
	sim_core_delay(core);
	dir = spell(path);
	if (!dir)
		return pirn_fail(core, -ENOMEM, "no memory for a path");
	for (uint32_t i = 0; i < node->names.count; i++)
		if (node->names.name[i]->seen &&
		    !strcmp(node->names.name[i]->path, dir))
			err = -ENOTDIR;
	if (!err)
		sync_changes(&node->names, dir);
	say(core, "sync_dir", dir, "", err);
	free(dir);
	return err ? pirn_fail(core, err, "%s: %s", path, strerror(-err)) : 0;
}
