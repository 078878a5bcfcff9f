// SPDX-License-Identifier: MIT
/* The example engine: what it answers, and finds on a disk changed behind its back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format.h"
#include "helpers.h"

static struct wal *wal;

static const struct wal_shape shape = {
	.shards = 2, .shard_bytes = 8 * MiB, .log_bytes = 1 * MiB, .force = true,
};

static const struct pirn_options options = {
	.size = sizeof(options), .pool_bytes = 8 * MiB,
};

static const char *path(void)
{
	return test_target()->path;
}

/* For cases that change the store behind the engine's back. */
static void needs_real_disk(void)
{
	if (!strcmp(pirn_backend_name(wanted_backend()), "sim"))
		skip_case("changes the disk, which is not there in a simulation");
}

static void make_store(void)
{
	struct wal *made;

	check_eq(wal_init(&made, path(), &shape), 0);
	wal_free(made);
}

static void open_store(uint32_t frames)
{
	struct wal_options opt = { .frames = frames };
	int err = wal_open(&wal, path(), &opt);

	if (err)
		check_failed(__FILE__, __LINE__, "wal_open: %s", wal_why(wal));
}

static void close_store(void)
{
	check_eq(wal_close(wal), 0);
	wal_free(wal);
}

static void abandon_store(void)
{
	check_eq(wal_abandon(wal), 0);
	wal_free(wal);
}

/* Values that tell their record and round; round 0 is none. */
static uint32_t value_of(uint64_t key, uint64_t round, char *value)
{
	uint32_t bytes = round ? 1 + (uint32_t)((key * 7 + round) %
						WAL_VALUE_BYTES) : 0;

	fill(value, WAL_VALUE_BYTES, key * 1000, round);
	return bytes;
}

static int put(uint64_t key, uint64_t round)
{
	char value[WAL_VALUE_BYTES + 8];
	struct wal_write w = { .key = key, .value = value };

	w.bytes = value_of(key, round, value);
	return wal_commit(wal, &w, 1);
}

static void check_value(uint64_t key, uint64_t round)
{
	char want[WAL_VALUE_BYTES + 8], got[WAL_VALUE_BYTES];
	uint32_t bytes = value_of(key, round, want);

	check_eq(wal_get(wal, key, got), bytes);
	check(!memcmp(got, want, bytes));
}

/* ----------------------------------------------------- behind its back, on disk */

static void host_read(void *buf, size_t bytes, uint64_t offset)
{
	int fd = must(open(path(), O_RDONLY | O_CLOEXEC));

	check_eq(pread(fd, buf, bytes, (off_t)offset), bytes);
	close(fd);
}

static void host_write(const void *buf, size_t bytes, uint64_t offset)
{
	int fd = must(open(path(), O_RDWR | O_CLOEXEC));

	check_eq(pwrite(fd, buf, bytes, (off_t)offset), bytes);
	must(fsync(fd));
	close(fd);
}

static void flip(uint64_t offset)
{
	char byte;

	host_read(&byte, 1, offset);
	byte ^= 0x10;
	host_write(&byte, 1, offset);
}

/* Enough of shard 0 to know where things are. */
static struct wal_shard shard_0(void)
{
	struct wal_shard s = { .base = 0 };
	struct wal_super other;

	host_read(&s.super, sizeof(s.super), 0);
	host_read(&other, sizeof(other), WAL_BLOCK);
	if (s.super.magic != WAL_MAGIC || other.turn > s.super.turn)
		s.super = other;
	check(s.super.magic == WAL_MAGIC);
	s.salt = s.super.salt;
	return s;
}

/*
 * Where in the file the groups of shard 0 since the redo point begin; how many.
 * Tests here fill much less than the log, which does not wrap under them.
 */
static unsigned int groups(uint64_t *at, unsigned int most)
{
	struct wal_shard s = shard_0();
	struct wal_record r;
	unsigned int n = 0;
	uint64_t lsn;

	for (lsn = s.super.redo; n < most; lsn += WAL_BLOCK) {
		uint64_t offset = wal_log_offset(&s) + lsn % s.super.log_bytes;

		if (lsn == s.super.redo + s.super.log_bytes)
			break;
		host_read(&r, sizeof(r), offset);
		if (r.salt == s.salt && r.lsn == lsn && r.group == lsn &&
		    r.epoch == s.super.epoch)
			at[n++] = offset;
	}
	return n;
}

/* ----------------------------------------------------------------------- tests */

TEST(checksums_are_crc32c)
{
	static const char *const text = "123456789";
	char bytes[300];

	/* RFC 3720, B.4, and the value every list of CRCs gives */
	memset(bytes, 0, 32);
	check_eq(wal_crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	check_eq(wal_crc32c(0, bytes, 32), 0x62a8ab43);
	check_eq(wal_crc32c(0, text, 9), 0xe3069283);
	check_eq(wal_crc32c_by_tables(0, text, 9), 0xe3069283);
	fill(bytes, 296, 0, 1);
	for (size_t n = 0; n < 296; n++) {
		check_eq(wal_crc32c(7, bytes + n % 8, n - n % 8),
			 wal_crc32c_by_tables(7, bytes + n % 8, n - n % 8));
		check_eq(wal_crc32c(wal_crc32c(0, bytes, n), bytes + n, 296 - n),
			 wal_crc32c_by_tables(0, bytes, 296));
	}
}

static int store_and_read(void *arg)
{
	uint64_t round, key;

	(void)arg;
	make_store();
	for (round = 1; round <= 4; round++) {
		open_store(16);
		for (key = 0; key < 400; key++)
			check_value(key * 97, round - 1);
		for (key = 0; key < 400; key++)
			check_eq(put(key * 97, round == 4 && key % 2 ? 0 : round), 0);
		/* the odd rounds end as if the process had died */
		if (round % 2)
			abandon_store();
		else
			close_store();
	}
	open_store(16);
	for (key = 0; key < 400; key++)
		check_value(key * 97, key % 2 ? 0 : 4);
	check_value(1, 0);
	check_eq(wal_verify(wal), 0);
	close_store();
	return 0;
}

TEST(what_was_committed_is_there_after_each_opening)
{
	run_on_cores(&options, store_and_read, NULL);
}

static int misuse(void *arg)
{
	char value[WAL_VALUE_BYTES + 1] = "";
	struct wal_write w[WAL_WRITES + 1] = { { 0, value, 1 } };
	struct wal_shape bad = shape;
	struct wal *made;

	(void)arg;
	make_store();
	bad.force = false;
	check_eq(wal_init(&made, path(), &bad), -EEXIST);
	check(strstr(wal_why(made), "2 shards"));
	wal_free(made);
	bad = shape;
	bad.log_bytes = 64 * KiB;
	check_eq(wal_init(&made, path(), &bad), -EINVAL);
	wal_free(made);
	bad = shape;
	bad.shards = 0;
	check_eq(wal_init(&made, path(), &bad), -EINVAL);
	wal_free(made);

	open_store(0);
	check_eq(wal_commit(wal, w, 0), -EINVAL);
	check_eq(wal_commit(wal, w, WAL_WRITES + 1), -EINVAL);
	w[0].bytes = WAL_VALUE_BYTES + 1;
	check_eq(wal_commit(wal, w, 1), -ERANGE);
	w[0] = (struct wal_write){ wal_capacity(wal), value, 1 };
	check_eq(wal_commit(wal, w, 1), -ERANGE);
	check_eq(wal_get(wal, wal_capacity(wal), value), -ERANGE);
	w[0].key = 0;
	w[1] = (struct wal_write){ 1, value, 1 };
	check_eq(wal_commit(wal, w, 2), -EXDEV);
	w[1].key = 2;
	check_eq(wal_commit(wal, w, 2), 0);
	close_store();

	memset(value, 0, sizeof(value));
	host_write(value, 100, 0);
	host_write(value, 100, WAL_BLOCK);
	check_eq(wal_open(&wal, path(), NULL), -EBADMSG);
	check(strstr(wal_why(wal), "no store"));
	wal_close(wal);
	wal_free(wal);
	return 0;
}

TEST(what_cannot_be_done_is_refused)
{
	needs_real_disk();
	run_on_cores(&options, misuse, NULL);
}

static unsigned int next_key;

static int put_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		check_eq(put(next_key++ * 2, 1), 0);
	return 0;
}

static int commit_together(void *arg)
{
	struct wal_stats stats;

	(void)arg;
	make_store();
	open_store(64);
	run_fibers(60, put_some, NULL);
	wal_stats(wal, &stats);
	check_eq(stats.commits, 1200);
	/* those that come during a write share the next: far from one each */
	check_op(stats.groups, <, 300);
	for (unsigned int i = 0; i < next_key; i++)
		check_value(2 * i, 1);
	close_store();
	return 0;
}

TEST(commits_that_come_together_share_a_write)
{
	run_on(&options, commit_together, NULL);
}

/* Record 0 is on page 0 of shard 0, which is on disk and in the log. */
static int bad_page(void *arg)
{
	bool in_log = arg;
	struct wal_shard s;
	struct wal_stats stats;
	char value[WAL_VALUE_BYTES];

	make_store();
	open_store(16);
	s = shard_0();
	check_eq(put(0, 1), 0);
	check_eq(put(2, 1), 0);
	if (!in_log) {
		close_store();
		open_store(16);
	}
	/* 40 pages through a cache of 16 */
	for (uint64_t i = 1; i <= 40; i++)
		check_eq(put(i * WAL_SLOTS * 2, 1), 0);
	flip(wal_page_offset(&s, 0) + 60);
	if (in_log) {
		check_value(0, 1);
		check_value(2, 1);
		wal_stats(wal, &stats);
		check_eq(stats.repairs, 1);
		/* mended on disk, too */
		for (uint64_t i = 1; i <= 40; i++)
			check_value(i * WAL_SLOTS * 2, 1);
		check_value(0, 1);
		wal_stats(wal, &stats);
		check_eq(stats.repairs, 1);
		check_eq(wal_verify(wal), 0);
	} else {
		check_eq(wal_get(wal, 0, value), -EBADMSG);
		check_eq(wal_get(wal, 2, value), -EBADMSG);
		check_eq(put(0, 2), -EBADMSG);
		check_value(WAL_SLOTS * 2, 1);
		check_eq(put(WAL_SLOTS * 2, 2), 0);
		check_eq(wal_verify(wal), 1);
	}
	close_store();
	return 0;
}

TEST(a_bad_page_that_the_log_has_is_mended)
{
	needs_real_disk();
	run_on(&options, bad_page, &wal);
}

TEST(a_bad_page_that_it_has_not_is_an_error)
{
	needs_real_disk();
	run_on(&options, bad_page, NULL);
}

static int stale_page(void *arg)
{
	char old[WAL_BLOCK], value[WAL_VALUE_BYTES];
	struct wal_shard s;

	(void)arg;
	make_store();
	s = shard_0();
	for (uint64_t round = 1; round <= 2; round++) {
		open_store(16);
		check_eq(put(0, round), 0);
		close_store();
		if (round == 1)
			host_read(old, sizeof(old), wal_page_offset(&s, 0));
	}
	/* as when the second write of the page had gone elsewhere */
	host_write(old, sizeof(old), wal_page_offset(&s, 0));
	open_store(16);
	check_eq(wal_get(wal, 0, value), -EBADMSG);
	close_store();
	return 0;
}

TEST(a_page_that_was_right_once_is_found)
{
	needs_real_disk();
	run_on(&options, stale_page, NULL);
}

/* Five groups of one commit each; then group @bad is not as it was. */
static int damaged_group(void *arg)
{
	unsigned int bad = *(unsigned int *)arg;
	uint64_t at[8];

	make_store();
	open_store(16);
	for (uint64_t i = 0; i < 5; i++)
		check_eq(put(2 * i, 1), 0);
	abandon_store();
	check_eq(groups(at, 8), 5);
	flip(at[bad] + 50);
	if (bad < 4) {
		check_eq(wal_open(&wal, path(), NULL), -EBADMSG);
		check(strstr(wal_why(wal), "damaged"));
		wal_close(wal);
		wal_free(wal);
		return 0;
	}
	open_store(16);
	for (uint64_t i = 0; i < 4; i++)
		check_value(2 * i, 1);
	check_value(8, 0);
	check_eq(put(8, 2), 0);
	abandon_store();
	open_store(16);
	check_value(8, 2);
	close_store();
	return 0;
}

TEST(a_torn_end_of_the_log_is_cut)
{
	unsigned int bad = 4;

	needs_real_disk();
	run_on(&options, damaged_group, &bad);
}

TEST(a_bad_place_before_the_end_is_no_torn_end)
{
	needs_real_disk();
	for (unsigned int bad = 0; bad < 4; bad++)
		run_on(&options, damaged_group, &bad);
}

static int superblocks(void *arg)
{
	struct wal_shard s;

	(void)arg;
	make_store();
	open_store(16);
	check_eq(put(0, 1), 0);
	close_store();
	/* the newer one torn: the other, and the log from there, say the same */
	s = shard_0();
	flip((s.super.turn & 1) * WAL_BLOCK + 40);
	open_store(16);
	check_value(0, 1);
	check_eq(put(0, 2), 0);
	check_eq(put(2, 2), 0);
	abandon_store();
	/* The newer one bad, with commits: the older one is not all there is. */
	s = shard_0();
	flip((s.super.turn & 1) * WAL_BLOCK + 40);
	check_eq(wal_open(&wal, path(), NULL), -EBADMSG);
	wal_close(wal);
	wal_free(wal);
	return 0;
}

TEST(a_lost_superblock_is_survived_or_found)
{
	needs_real_disk();
	run_on(&options, superblocks, NULL);
}

static int put_own(void *arg)
{
	int *result = arg;

	*result = put((uint64_t)*result, 1);
	return 0;
}

static int in_scope(void *arg)
{
	char value[WAL_VALUE_BYTES];
	struct pirn_scope scope;
	int result[2] = { 4, 6 };	/* and their keys */

	(void)arg;
	make_store();
	open_store(16);
	check_eq(pirn_scope_begin(&scope, PIRN_NEVER), 0);
	for (int i = 0; i < 2; i++)
		check_eq(pirn_scope_spawn(&scope, put_own, &result[i]), 0);
	pirn_yield();
	/* The group of the first is on its way, and the second waits for its own. */
	check(result[0] == 4 && result[1] == 6);
	check_eq(pirn_scope_cancel(&scope, -ECANCELED), 0);
	check_eq(put(2, 1), -ECANCELED);
	check_eq(wal_get(wal, 0, value), -ECANCELED);
	check_eq(pirn_scope_end(&scope), -ECANCELED);
	check(!result[0] && !result[1]);
	check_value(4, 1);
	check_value(6, 1);
	check_value(2, 0);
	close_store();
	return 0;
}

TEST(a_commit_under_way_outlives_its_scope)
{
	run_on(&options, in_scope, NULL);
}

/* ------------------------------------------------------------------ the epoch */

struct three {
	unsigned int who;
	uint64_t round;
};

static int put_third(void *arg)
{
	struct three *t = arg;
	char value[WAL_VALUE_BYTES];
	struct wal_write w = { .key = 2 * t->who++, .value = value, .bytes = 64 };

	fill(value, 64, w.key, t->round);
	check_eq(wal_commit(wal, &w, 1), 0);
	return 0;
}

/*
 * One group of three records: the first reads the page from disk, and meanwhile
 * the other two come.
 */
static uint64_t commit_three(uint64_t round, char group[8192])
{
	struct three t = { .round = round };
	struct wal_record *r = (struct wal_record *)group;
	uint64_t at[8];

	open_store(16);
	run_fibers(3, put_third, &t);
	abandon_store();
	check_eq(groups(at, 8), 1);
	host_read(group, 8192, at[0]);
	for (unsigned int n = 0; n < 3; n++) {
		check_eq(r->last, n == 2);
		r = (struct wal_record *)((char *)r + r->bytes);
	}
	return at[0];
}

static int dead_commits(void *arg)
{
	char first[8192], second[8192], value[WAL_VALUE_BYTES], want[64];
	struct wal_record *r = (struct wal_record *)first;
	uint64_t at;

	(void)arg;
	make_store();
	open_store(16);
	for (uint64_t key = 0; key < 6; key += 2)
		check_eq(put(key, 1), 0);
	close_store();

	/* Of the first run's group the first record is lost, the rest is there. */
	at = commit_three(2, first);
	flip(at + 50);
	/* The second run has one that is as long; of it the first is there only. */
	check_eq(commit_three(3, second), at);
	check_eq(((struct wal_record *)second)->bytes, r->bytes);
	host_write(first + r->bytes, 8192 - r->bytes, at + r->bytes);

	open_store(16);
	fill(want, 64, 0, 3);
	check_eq(wal_get(wal, 0, value), 64);
	check(!memcmp(value, want, 64));
	check_value(2, 1);
	check_value(4, 1);
	close_store();
	return 0;
}

TEST(records_of_an_earlier_run_stay_dead)
{
	needs_real_disk();
	run_on(&options, dead_commits, NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_crc32c),
		cmocka_unit_test(what_was_committed_is_there_after_each_opening),
		cmocka_unit_test(what_cannot_be_done_is_refused),
		cmocka_unit_test(commits_that_come_together_share_a_write),
		cmocka_unit_test(a_bad_page_that_the_log_has_is_mended),
		cmocka_unit_test(a_bad_page_that_it_has_not_is_an_error),
		cmocka_unit_test(a_page_that_was_right_once_is_found),
		cmocka_unit_test(a_torn_end_of_the_log_is_cut),
		cmocka_unit_test(a_bad_place_before_the_end_is_no_torn_end),
		cmocka_unit_test(a_lost_superblock_is_survived_or_found),
		cmocka_unit_test(a_commit_under_way_outlives_its_scope),
		cmocka_unit_test(records_of_an_earlier_run_stay_dead),
	};

	return run_program(argc, argv, "wal_store", tests, array_size(tests));
}
