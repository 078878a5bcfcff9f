// SPDX-License-Identifier: MIT
/*
 * Usage: replay LOG SEED SCRATCH PART PARTS SUBSETS
 *
 * Takes the log that dm-log-writes made of record.c, and looks at the store as a
 * crash would have left it: after each write that was durable and each flush,
 * with everything before it; and SUBSETS times for each with random sectors of
 * what was on its way to the next.  A look is a recovery by the engine itself, in
 * a simulation of its own that has the disk from the file SCRATCH, and then every
 * record against the oracle: what the marks up to there say was answered is there.
 * Of several processes, PARTS, each looks at its share.
 *
 * The log (Linux, Documentation/admin-guide/device-mapper/log-writes.rst): a
 * superblock, then for each write a sector that says where and how, and its data.
 * Writes that were not durable are in it behind the flush that made them so.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pirn/sim.h>

#include "logged.h"

#define LOG_MAGIC 0x6a736677736872ull

enum { LOG_FLUSH = 1, LOG_FUA = 2, LOG_DISCARD = 4, LOG_MARK = 8 };

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t entries;
	uint32_t sector_bytes;
};

struct log_entry {
	uint64_t sector;
	uint64_t sectors;
	uint64_t flags;
	uint64_t data_bytes;	/* of a mark: its text, in this same sector */
};

struct entry {
	uint64_t flags;
	uint64_t offset;	/* in the device */
	uint64_t bytes;
	const char *data;
};

static struct entry *entries;
static uint64_t count;
static uint32_t sector;

static const char *scratch;
static int image;		/* SCRATCH, open */
static uint64_t seed, made;	/* the mark was seen */
static unsigned int acked[LOGGED_WRITERS], most[LOGGED_WRITERS];
static uint64_t looks, boundaries, random_state;

static struct wal *wal;
static struct oracle_writer writers[LOGGED_WRITERS];
static char what[200];

static void __attribute__((noreturn)) die(const char *why)
{
	fprintf(stderr, "replay: %s\n", why);
	exit(2);
}

static uint64_t next_random(void)
{
	return oracle_random(seed, 77, random_state++);
}

/* ------------------------------------------------------------------- the log */

static void read_log(const char *path)
{
	const struct log_super *super;
	const struct log_entry *e;
	const char *base, *at, *end;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die("the log cannot be opened");
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (base == MAP_FAILED)
		die("the log cannot be mapped");
	super = (const struct log_super *)base;
	sector = le32toh(super->sector_bytes);
	if (le64toh(super->magic) != LOG_MAGIC || le64toh(super->version) != 1 ||
	    sector < 512)
		die("this is no log of dm-log-writes");
	count = le64toh(super->entries);
	entries = calloc(count + 1, sizeof(*entries));
	at = base + sector;
	end = base + st.st_size;
	for (uint64_t i = 0; i < count; i++) {
		e = (const struct log_entry *)at;
		if (at + sector > end)
			die("the log is cut short");
		at += sector;
		entries[i].flags = le64toh(e->flags);
		if (entries[i].flags & LOG_MARK) {
			entries[i].data = (const char *)(e + 1);
			entries[i].bytes = le64toh(e->data_bytes);
			continue;
		}
		entries[i].offset = le64toh(e->sector) * sector;
		if (entries[i].flags & LOG_DISCARD)
			continue;
		entries[i].bytes = le64toh(e->sectors) * sector;
		entries[i].data = at;
		at += entries[i].bytes;
		if (at > end || entries[i].offset + entries[i].bytes > LOGGED_BYTES)
			die("a write of the log does not fit");
	}
}

static void put(const char *data, uint64_t bytes, uint64_t offset)
{
	if (bytes && pwrite(image, data, bytes, (off_t)offset) != (ssize_t)bytes)
		die("SCRATCH cannot be written");
}

static void see_mark(const struct entry *e)
{
	unsigned int who, n;
	char text[32] = "";

	memcpy(text, e->data, e->bytes < 31 ? e->bytes : 31);
	if (!strncmp(text, "made", 4))
		made = true;
	else if (sscanf(text, "a_%u_%u", &who, &n) == 2 && who < LOGGED_WRITERS)
		acked[who] = n;
}

/* -------------------------------------------------------------------- a look */

/* The oracle as it was when the marks up to here had been made. */
static void writers_now(void)
{
	struct wal_write writes[WAL_WRITES];
	static char values[WAL_WRITES][WAL_VALUE_BYTES];

	for (unsigned int i = 0; i < LOGGED_WRITERS; i++) {
		struct oracle_writer *w = &writers[i];

		w->n = 0;
		w->acked = 0;
		w->version = 0;
		memset(w->now, 0, sizeof(w->now));
		while (w->n <= acked[i] && w->n < most[i]) {
			oracle_begin(w, oracle_random(seed, i, w->n), writes, values);
			if (w->n <= acked[i])
				oracle_acked(w);
		}
	}
}

static int look_there(void *arg)
{
	struct wal_options opt = { .frames = LOGGED_FRAMES };
	char value[WAL_VALUE_BYTES];
	uint32_t found[ORACLE_KEYS];
	int err, bytes;

	(void)arg;
	err = wal_open(&wal, scratch, &opt);
	if (err) {
		snprintf(what, sizeof(what), "the store cannot be opened: %s",
			 wal_why(wal));
		return 1;
	}
	for (unsigned int i = 0; i < LOGGED_WRITERS; i++) {
		struct oracle_writer *w = &writers[i];

		for (unsigned int k = 0; k < w->keys; k++) {
			bytes = wal_get(wal, w->key[k], value);
			found[k] = bytes < 0 ? ORACLE_GARBAGE :
				   oracle_version(w->key[k], value, bytes);
		}
		if (oracle_found(w, found, 0))
			continue;
		snprintf(what, sizeof(what),
			 "writer %u was told of %u commits, and they are not there",
			 i, acked[i]);
		return 1;
	}
	return 0;
}

static bool look(uint64_t at, const char *how)
{
	struct pirn_sim_options opt = PIRN_SIM_OPTIONS_INIT;
	struct pirn_options run = PIRN_OPTIONS_INIT;
	struct pirn_sim *sim;
	int err, result = 1;

	writers_now();
	opt.seed = at;
	opt.import = 1;
	opt.block_bytes = 512;
	run.cpus = "0";
	run.pool_bytes = 4u << 20;
	wal = NULL;
	what[0] = '\0';
	looks++;
	err = pirn_sim_create(&sim, &opt, what, sizeof(what));
	if (err)
		die(what);
	err = pirn_sim_start(sim, 0, &run, look_there, NULL);
	if (!err)
		err = pirn_sim_run(sim, PIRN_NEVER);
	if (!err)
		err = pirn_sim_result(sim, 0, &result);
	if (err)
		snprintf(what, sizeof(what), "the simulation: %s",
			 pirn_sim_message(sim));
	pirn_sim_destroy(sim);
	wal_free(wal);
	if (!err && !result)
		return true;
	printf("entry %" PRIu64 " of %" PRIu64 ", %s: %s\n", at, count, how, what);
	return false;
}

/* Random sectors of what was on its way to the boundary after @at, then back. */
static bool look_at_subset(uint64_t at)
{
	char *saved = malloc(LOGGED_BYTES);
	uint64_t keep = next_random() % 101;
	bool good;

	if (!saved || pread(image, saved, LOGGED_BYTES, 0) != LOGGED_BYTES)
		die("SCRATCH cannot be read");
	for (uint64_t i = at + 1; i < count; i++) {
		const struct entry *e = &entries[i];

		if (e->flags & (LOG_MARK | LOG_DISCARD))
			continue;
		for (uint64_t n = 0; n < e->bytes; n += 512)
			if (next_random() % 100 < keep)
				put(e->data + n, 512, e->offset + n);
		if (e->flags & (LOG_FUA | LOG_FLUSH))
			break;
	}
	good = look(at, "and random sectors of the next");
	put(saved, LOGGED_BYTES, 0);
	free(saved);
	return good;
}

static bool replay(uint64_t part, uint64_t parts, unsigned int subsets)
{
	bool good = true;

	for (uint64_t i = 0; i < count && good; i++) {
		const struct entry *e = &entries[i];
		bool more_marks = i + 1 < count && entries[i + 1].flags & LOG_MARK;

		if (e->flags & LOG_MARK)
			see_mark(e);
		else if (!(e->flags & LOG_DISCARD))
			put(e->data, e->bytes, e->offset);
		if (!made || !(e->flags & (LOG_MARK | LOG_FUA | LOG_FLUSH)))
			continue;
		/* After the marks that follow there is more to be there. */
		if (more_marks || boundaries++ % parts != part)
			continue;
		good = look(i, "with all before it");
		for (unsigned int n = 0; n < subsets && good; n++)
			good = look_at_subset(i);
	}
	return good;
}

int main(int argc, char **argv)
{
	uint64_t fua = 0, flush = 0, marks = 0;
	unsigned int who, n;
	bool good;

	if (argc != 7) {
		fprintf(stderr, "replay: LOG SEED SCRATCH PART PARTS SUBSETS\n");
		return 2;
	}
	read_log(argv[1]);
	seed = strtoull(argv[2], NULL, 0);
	scratch = argv[3];
	image = open(scratch, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (image < 0 || ftruncate(image, LOGGED_BYTES))
		die("SCRATCH cannot be made");
	logged_writers(writers);
	for (uint64_t i = 0; i < count; i++) {
		fua += !!(entries[i].flags & LOG_FUA);
		flush += !!(entries[i].flags & LOG_FLUSH);
		marks += !!(entries[i].flags & LOG_MARK);
		if (entries[i].flags & LOG_MARK &&
		    sscanf(entries[i].data, "a_%u_%u", &who, &n) == 2 &&
		    who < LOGGED_WRITERS && n > most[who])
			most[who] = n;
	}
	/* One more was perhaps begun by each. */
	for (who = 0; who < LOGGED_WRITERS; who++)
		most[who]++;
	random_state = strtoull(argv[4], NULL, 0) << 32;
	good = replay(strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0),
		      (unsigned int)strtoul(argv[6], NULL, 0));
	printf("%" PRIu64 " entries: %" PRIu64 " durable writes, %" PRIu64
	       " flushes, %" PRIu64 " marks; %" PRIu64 " boundaries, %" PRIu64
	       " looks here: %s\n", count, fua, flush, marks, boundaries, looks,
	       good ? "all good" : "failed");
	unlink(scratch);
	if (!marks)
		die("no mark in the log");
	return !good;
}
