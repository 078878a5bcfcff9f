// SPDX-License-Identifier: MIT
/*
 * Writes and reads back a whole disk by the library, eight fibers a core. Each
 * owns a part of the disk and knows for each sector of it the generation it wrote
 * last; a sector carries where it belongs, that generation and who wrote it, in
 * each of its words. A word that is another's place is misplaced, one of an
 * earlier generation stale, and words that disagree torn.
 */
#include <inttypes.h>
#include <stdio.h>

#include "torture.h"

#define FIBERS 8u		/* a core */
#define SECTOR 512u
#define MOST (1 * MiB)
#define WORDS (SECTOR / 8)

static uint64_t seed, ends_at, disk_bytes, seconds;
static unsigned int parts;
static struct pirn_file *file;
static uint64_t sectors_written, sectors_read;

struct part {
	unsigned int nr;
	uint64_t first, sectors;	/* on the disk */
	uint32_t *generation;		/* of each sector; 0: never written */
};

/* Mixed, so that a word of one sector cannot pass for one of another. */
static uint64_t stamp(uint64_t lba, uint32_t generation, unsigned int nr, unsigned int word)
{
	struct rng rng = { (lba << 24) ^ ((uint64_t)nr << 8) ^ word };

	return rng_next(&rng) + generation;
}

static void write_stamps(uint64_t *to, const struct part *part, uint64_t lba)
{
	unsigned int w;

	for (w = 0; w < WORDS; w++)
		to[w] = stamp(lba, part->generation[lba - part->first], part->nr, w);
}

static void look_at(const uint64_t *from, const struct part *part, uint64_t lba)
{
	uint32_t want = part->generation[lba - part->first];
	uint64_t got, first = from[0] - stamp(lba, 0, part->nr, 0);
	unsigned int w;

	if (!want)
		return;
	for (w = 0; w < WORDS; w++) {
		got = from[w] - stamp(lba, 0, part->nr, w);
		if (got == want)
			continue;
		check_failed(__FILE__, __LINE__,
			     "sector %" PRIu64 " of fiber %u, word %u: %s (generation %u, not %u)",
			     lba, part->nr, w,
			     first <= want && got <= want && got != first ? "torn" :
			     got < want ? "stale" : "not what belongs here", (unsigned int)got,
			     want);
	}
}

/* A range of the part: any, or at one of its ends, which two are the disk's. */
static void choose(struct rng *rng, const struct part *part, uint64_t *lba, uint64_t *n)
{
	uint64_t most = part->sectors < MOST / SECTOR ? part->sectors : MOST / SECTOR;

	*n = 1 + rng_below(rng, rng_below(rng, 4) ? 16 : most);
	if (*n > most)
		*n = most;
	*lba = part->first;
	switch (rng_below(rng, 4)) {
	case 0: break;
	case 1: *lba += part->sectors - *n; break;
	default: *lba += rng_below(rng, part->sectors - *n + 1); break;
	}
}

static void write_some(struct rng *rng, struct part *part, char *buf)
{
	uint64_t lba, n, i;

	choose(rng, part, &lba, &n);
	for (i = 0; i < n; i++) {
		part->generation[lba + i - part->first]++;
		write_stamps((uint64_t *)(buf + i * SECTOR), part, lba + i);
	}
	check_eq(pirn_pwrite(file, buf, n * SECTOR, lba * SECTOR,
			     rng_below(rng, 50) ? 0 : PIRN_DSYNC), (ssize_t)(n * SECTOR));
	__atomic_add_fetch(&sectors_written, n, __ATOMIC_RELAXED);
}

static void read_some(struct rng *rng, struct part *part, char *buf)
{
	uint64_t lba, n, i;

	choose(rng, part, &lba, &n);
	/* nothing of before may pass for what was read */
	memset(buf, 0xa5, n * SECTOR);
	check_eq(pirn_pread(file, buf, n * SECTOR, lba * SECTOR), (ssize_t)(n * SECTOR));
	for (i = 0; i < n; i++)
		look_at((uint64_t *)(buf + i * SECTOR), part, lba + i);
	__atomic_add_fetch(&sectors_read, n, __ATOMIC_RELAXED);
}

/* All that was ever written, once more. */
static void read_all(struct part *part, char *buf)
{
	uint64_t at, i, n;

	for (at = 0; at < part->sectors; at += n) {
		n = part->sectors - at < MOST / SECTOR ? part->sectors - at : MOST / SECTOR;
		check_eq(pirn_pread(file, buf, n * SECTOR, (part->first + at) * SECTOR),
			 (ssize_t)(n * SECTOR));
		for (i = 0; i < n; i++)
			look_at((uint64_t *)(buf + i * SECTOR), part, part->first + at + i);
		__atomic_add_fetch(&sectors_read, n, __ATOMIC_RELAXED);
	}
}

/* Past the end there is nothing, and nothing of a write that would go there. */
static void at_the_end(char *buf)
{
	check_eq(pirn_pread(file, buf, SECTOR, disk_bytes), 0);
	check_eq(pirn_pwrite(file, buf, SECTOR, disk_bytes, 0), -ENOSPC);
}

static int one_part(void *arg)
{
	unsigned int nr = *(unsigned int *)arg;
	uint64_t each = disk_bytes / SECTOR / parts;
	struct part part = { .nr = nr, .first = nr * each, .sectors = each };
	struct rng rng = { seed + nr };
	char *whole = pirn_buf_alloc(2 * MOST), *buf;

	check(whole);
	if (nr == parts - 1)
		part.sectors = disk_bytes / SECTOR - part.first;
	part.generation = calloc(part.sectors, sizeof(*part.generation));
	check(part.generation);
	while (clock_ns() < ends_at) {
		/* anywhere in a page */
		buf = whole + SECTOR * rng_below(&rng, 64);
		if (rng_below(&rng, 2))
			write_some(&rng, &part, buf);
		else
			read_some(&rng, &part, buf);
		if (rng_below(&rng, 200) == 0)
			check_eq(pirn_fsync(file), 0);
		if (nr == 0 && rng_below(&rng, 100) == 0)
			at_the_end(buf);
		if (nr == 0)
			torture_progress(seconds - (ends_at - clock_ns()) / 1000000000u);
	}
	read_all(&part, whole);
	free(part.generation);
	check_eq(pirn_buf_free(whole), 0);
	return 0;
}

static int one_core(void *arg)
{
	unsigned int i, base = (unsigned int)pirn_core() * FIBERS, nr[FIBERS];
	struct pirn_fiber *fiber[FIBERS];

	(void)arg;
	for (i = 0; i < FIBERS; i++) {
		nr[i] = base + i;
		check_eq(pirn_spawn(&fiber[i], one_part, &nr[i]), 0);
	}
	for (i = 0; i < FIBERS; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

static int call_core(void *arg)
{
	return pirn_call(*(unsigned int *)arg, one_core, NULL, NULL);
}

static int all_cores(void *arg)
{
	unsigned int i, n = (unsigned int)pirn_core_count(), core[64];
	struct pirn_fiber *fiber[64];
	const char *path = arg;

	check_op(n, <=, 64);
	parts = n * FIBERS;
	check_eq(pirn_open(&file, path, O_RDWR, 0), 0);
	disk_bytes = (uint64_t)pirn_size(file);
	check_eq(pirn_block_bytes(file), SECTOR);
	for (i = 0; i < n; i++) {
		core[i] = i;
		check_eq(pirn_spawn(&fiber[i], call_core, &core[i]), 0);
	}
	for (i = 0; i < n; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

static void on_backend(enum pirn_backend backend, uint64_t for_seconds)
{
	struct pirn_options opt = { .size = sizeof(opt), .backend = backend };
	int result = -1;

	ends_at = clock_ns() + for_seconds * 1000000000u;
	seconds = for_seconds;
	opt.pool_bytes = 3 * FIBERS * MOST;
	check_eq(pirn_run(&opt, all_cores, (void *)(uintptr_t)NVME_DISK, &result), 0);
	check_eq(result, 0);
	check_op(sectors_written, >, 0);
	printf("verify: %s: %" PRIu64 " sectors written, %" PRIu64 " read, all right\n",
	       pirn_backend_name(backend), sectors_written, sectors_read);
	sectors_written = sectors_read = 0;
}

int main(int argc, char **argv)
{
	struct torture t = {
		.name = "verify", .unit = "seconds", .bound = 600,
		.what = "Writes a disk by the library, eight fibers a core and 512 bytes "
			"to 1 MiB, up to its very ends, and verifies each sector: half of "
			"the time on the module, half on io_uring.",
	};

	torture_begin(&t, argc, argv);
	seed = t.seed;
	on_backend(PIRN_BACKEND_KMOD, (t.bound + 1) / 2);
	on_backend(PIRN_BACKEND_URING, (t.bound + 1) / 2);
	check_ops_ended();
	printf("verify: nothing torn, misplaced or stale\n");
	return 0;
}
