// SPDX-License-Identifier: MIT
/*
 * The disks of a simulated world while it runs: when buffers are read and
 * filled, the order of completions, devices, and faults that need no crash.
 */
#include <stdlib.h>
#include <unistd.h>

#include "sim_helpers.h"

/* ------------------------------------------------------------------ buffers */

struct op {
	struct pirn_file *file;
	char *buf;
	uint64_t offset;
	unsigned int bytes;
	ssize_t result;
	bool ended;
	unsigned int number;
};

static unsigned int ends, end_order[100];

static int write_op(void *arg)
{
	struct op *op = arg;

	op->result = pirn_pwrite(op->file, op->buf, op->bytes, op->offset, 0);
	op->ended = true;
	end_order[ends++] = op->number;
	return 0;
}

static int read_op(void *arg)
{
	struct op *op = arg;

	op->result = pirn_pread(op->file, op->buf, op->bytes, op->offset);
	op->ended = true;
	return 0;
}

/* A buffer changed at a quarter of an op's time: which content is written? */
static int changed(void *arg)
{
	struct op op = { .file = file_at("f"), .bytes = 4096,
			 .buf = pirn_buf_alloc(4096) };
	struct pirn_fiber *fiber;

	(void)arg;
	memset(op.buf, 'a', 4096);
	check_eq(pirn_spawn(&fiber, write_op, &op), 0);
	check_eq(pirn_sleep(5 * US), 0);
	check(!op.ended);
	memset(op.buf, 'b', 4096);
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(op.result, 4096);
	memset(op.buf, 0, 4096);
	check_eq(pirn_pread(op.file, op.buf, 4096, 0), 4096);
	check_eq(op.buf[0], op.buf[4095]);
	return op.buf[0];
}

TEST(a_write_reads_its_buffer_at_any_instant)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int count[256] = { 0 };

	for (opt.seed = 0; opt.seed < seeds(100); opt.seed++)
		count[live_in(&opt, changed, NULL, NULL)]++;
	check_op(count['a'], >=, 1);
	check_op(count['b'], >=, seeds(10));
	check_eq(count['a'] + count['b'], seeds(100));
}

static int half_read(void *arg)
{
	struct op op = { .file = file_at("f"), .bytes = 8192,
			 .buf = pirn_buf_alloc(8192) };
	struct pirn_fiber *fiber;
	unsigned int i;

	(void)arg;
	fill(op.buf, 4096, 0, 1);
	check_eq(pirn_pwrite(op.file, op.buf, 4096, 0, 0), 4096);
	memset(op.buf, 7, 8192);
	check_eq(pirn_spawn(&fiber, read_op, &op), 0);
	check_eq(pirn_sleep(5 * US), 0);
	/* under way: neither what was there nor what is to come */
	check(!op.ended);
	for (i = 0; i < 4096; i += 512) {
		check_op(op.buf[i], !=, 7);
		check_eq(op.buf[i], op.buf[4095]);
	}
	check_eq(pirn_join(fiber, NULL), 0);
	check_eq(op.result, 4096);
	check_filled(op.buf, 4096, 0, 1);
	/* past the end of the file nothing is touched */
	check_eq(op.buf[4096], 7);
	return 0;
}

TEST(a_read_fills_its_buffer_when_it_ends)
{
	struct pirn_sim_options opt = with_seed(0);

	for (opt.seed = 0; opt.seed < 20; opt.seed++)
		live_in(&opt, half_read, NULL, NULL);
}

static int many_writes(void *arg)
{
	struct pirn_file *file = file_at("f");
	struct pirn_fiber *fiber[20];
	struct op op[20];
	unsigned int i, same = 0;

	(void)arg;
	ends = 0;
	for (i = 0; i < 20; i++) {
		op[i] = (struct op){ .file = file, .bytes = 512, .number = i,
				     .buf = pirn_buf_alloc(512),
				     .offset = i * 512 };
		check_eq(pirn_spawn(&fiber[i], write_op, &op[i]), 0);
	}
	for (i = 0; i < 20; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	for (i = 0; i < 20; i++)
		same += end_order[i] == i;
	return (int)same;
}

TEST(completions_come_in_any_order)
{
	struct pirn_sim_options opt = with_seed(0);
	unsigned int same = 0;

	opt.shuffle = PIRN_SIM_NO_SHUFFLE;
	for (opt.seed = 0; opt.seed < 20; opt.seed++)
		same += (unsigned int)live_in(&opt, many_writes, NULL, NULL);
	/* of 400, when the order means nothing about 20 */
	check_op(same, <, 100);
}

/* ------------------------------------------------------------------ content */

/* Random writes of every length against a plain array. */
static int against_model(void *arg)
{
	enum { SIZE = 300000 };
	static unsigned char model[SIZE];
	struct pirn_file *file;
	unsigned char *buf = pirn_buf_alloc(65536);
	struct rng rng = { *(uint64_t *)arg };
	uint64_t length = 0;
	unsigned int i;

	check_eq(pirn_open(&file, "m", O_RDWR | O_CREAT | PIRN_O_BUFFERED, 0600),
		 0);
	memset(model, 0, sizeof(model));
	for (i = 0; i < 2000; i++) {
		uint64_t at = rng_below(&rng, SIZE - 65536);
		uint64_t n = 1 + rng_below(&rng, i % 10 ? 600 : 65536);
		uint64_t want = at < length ? length - at : 0;

		switch (rng_below(&rng, 8)) {
		case 0:
			check_eq(pirn_truncate(file, at), 0);
			memset(model + at, 0, SIZE - at);
			length = at;
			break;
		case 1:
			check_eq(pirn_fsync(file), 0);
			break;
		case 2:
		case 3:
		case 4:
			fill(buf, n, at, i);
			check_eq(pirn_pwrite(file, buf, n, at,
					     i % 3 ? 0 : PIRN_DSYNC), n);
			memcpy(model + at, buf, n);
			if (at + n > length)
				length = at + n;
			break;
		default:
			check_eq(pirn_pread(file, buf, n, at),
				 want < n ? want : n);
			check(!memcmp(buf, model + at, want < n ? want : n));
		}
		check_eq(pirn_size(file), length);
	}
	return 0;
}

TEST(what_is_read_is_what_was_written)
{
	struct pirn_sim_options opt = with_seed(0);

	/* a small cache settles all the time */
	for (opt.seed = 0; opt.seed < 10; opt.seed++) {
		opt.cache_bytes = opt.seed % 2 ? 4096 : 0;
		live_in(&opt, against_model, &opt.seed, NULL);
	}
}

static int fill_cache(void *arg)
{
	struct pirn_file *file = file_at("f");
	char *buf = pirn_buf_alloc(65536);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 100; i++)
		check_eq(pirn_pwrite(file, buf, 65536, i * 65536, 0), 65536);
	return 0;
}

TEST(a_cache_holds_what_it_is_told)
{
	struct pirn_sim_options opt = with_seed(0);
	struct pirn_sim_counts counts = { .size = sizeof(counts) };
	struct pirn_sim *sim = world(&opt);

	live(sim, fill_cache, NULL);
	check_eq(pirn_sim_counts(sim, &counts), 0);
	check_eq(counts.unsynced, 6553600);
	pirn_sim_destroy(sim);
	opt.cache_bytes = 1 << 20;
	sim = world(&opt);
	live(sim, fill_cache, NULL);
	check_eq(pirn_sim_counts(sim, &counts), 0);
	check_op(counts.unsynced, <=, 1 << 20);
	check_op(counts.unsynced, >, 900000);
	pirn_sim_destroy(sim);
}

static int on_device(void *arg)
{
	struct pirn_file *file;
	char *buf = pirn_buf_alloc(65536);

	(void)arg;
	check_eq(pirn_open(&file, "/dev/d", O_RDWR | O_TRUNC, 0), 0);
	check_eq(pirn_size(file), 40960);
	check_eq(pirn_block_bytes(file), 4096);
	check_eq(pirn_pread(file, buf, 512, 0), -EINVAL);
	check_eq(pirn_pread(file, buf, 65536, 0), 40960);
	check_eq(buf[0] | buf[36863], 0);
	check_eq(pirn_pread(file, buf, 4096, 40960), 0);
	fill(buf, 8192, 0, 3);
	check_eq(pirn_pwrite(file, buf, 8192, 36864, 0), -ENOSPC);
	check_eq(pirn_pwrite(file, buf, 4096, 40960, 0), -ENOSPC);
	check_eq(pirn_pread(file, buf, 4096, 36864), 4096);
	check_filled(buf, 4096, 0, 3);
	check_eq(pirn_truncate(file, 0), -EINVAL);
	check_eq(pirn_size(file), 40960);
	return 0;
}

TEST(a_device_has_its_size_and_blocks)
{
	struct pirn_sim *sim = world(NULL);

	check_eq(pirn_sim_disk(sim, 0, "/dev/d", 40960, 4096), 0);
	check_eq(live(sim, on_device, NULL), 0);
	/* it outlives the node */
	check_eq(live(sim, on_device, NULL), 0);
	pirn_sim_destroy(sim);
}

static int blocks(void *arg)
{
	(void)arg;
	return (int)pirn_block_bytes(file_at("f"));
}

TEST(files_have_the_blocks_they_are_told)
{
	struct pirn_sim_options opt = with_seed(0);

	check_eq(live_in(&opt, blocks, NULL, NULL), 512);
	opt.block_bytes = 4096;
	check_eq(live_in(&opt, blocks, NULL, NULL), 4096);
}

static int open_host(void *arg)
{
	struct pirn_file *file;
	char *buf = pirn_buf_alloc(8192);
	int err = pirn_open(&file, arg, O_RDWR, 0);

	if (err)
		return err;
	check_eq(pirn_size(file), 5000);
	check_eq(pirn_pread(file, buf, 8192, 0), 5000);
	check_filled(buf, 5000, 0, 8);
	memset(buf, 0, 512);
	check_eq(pirn_pwrite(file, buf, 512, 0, PIRN_DSYNC), 512);
	check_eq(pirn_unlink(arg), 0);
	check_eq(pirn_open(&file, arg, O_RDWR, 0), -ENOENT);
	return 0;
}

TEST(files_of_the_host_are_there_when_asked_for)
{
	const char *path = new_path("host");
	struct pirn_sim_options opt = with_seed(0);
	int fd = must(open(path, O_RDWR | O_CREAT, 0600));
	char buf[5000];

	fill(buf, 5000, 0, 8);
	check_eq(write(fd, buf, 5000), 5000);
	check_eq(live_in(&opt, open_host, (void *)(uintptr_t)path, NULL),
		 -ENOENT);
	opt.import = 1;
	check_eq(live_in(&opt, open_host, (void *)(uintptr_t)path, NULL), 0);
	/* nothing was done to it */
	check_eq(pread(fd, buf, 5000, 0), 5000);
	check_filled(buf, 5000, 0, 8);
	close(fd);
}

/* ------------------------------------------------------------------- faults */

struct errors {
	unsigned int ops;
	unsigned int reads;		/* that failed */
	unsigned int writes;
	unsigned int syncs;
	unsigned int wrong;		/* pages that hold something else */
	int error;
};

static void note(ssize_t result, unsigned int *count, struct errors *e)
{
	if (result >= 0)
		return;
	++*count;
	e->error = (int)result;
}

/* Writes pages, reads them again, syncs. */
static int work(void *arg)
{
	struct errors *e = arg;
	char *buf = pirn_buf_alloc(4096);
	struct pirn_file *file = file_at("f");
	unsigned int i;
	ssize_t n;

	for (i = 0; i < e->ops; i++) {
		fill(buf, 4096, i, 1);
		n = pirn_pwrite(file, buf, 4096, i * 4096, 0);
		note(n, &e->writes, e);
	}
	for (i = 0; i < e->ops; i++) {
		memset(buf, 0, 4096);
		n = pirn_pread(file, buf, 4096, i * 4096);
		note(n, &e->reads, e);
		e->wrong += n == 4096 && first_wrong(buf, 4096, i, 1) != 4096;
	}
	for (i = 0; i < 100; i++)
		note(pirn_fsync(file), &e->syncs, e);
	return 0;
}

static struct errors work_with(enum pirn_sim_fault fault, uint32_t rate,
			       uint32_t most, uint64_t *count)
{
	struct pirn_sim_options opt = with_fault(11, fault, rate);
	struct errors e = { .ops = 1000 };
	struct pirn_sim *sim;

	opt.fault[fault].most = most;
	sim = world(&opt);
	live(sim, work, &e);
	*count = injected(sim, fault);
	pirn_sim_destroy(sim);
	return e;
}

TEST(without_faults_nothing_fails)
{
	struct errors e;
	uint64_t count;

	e = work_with(PIRN_SIM_EIO_READ, 0, 0, &count);
	check_eq(count, 0);
	check_eq(e.reads + e.writes + e.syncs + e.wrong, 0);
}

TEST(reads_fail_as_often_as_told)
{
	struct errors e;
	uint64_t count;

	e = work_with(PIRN_SIM_EIO_READ, 100000, 0, &count);
	check_op(e.reads, >, 60);
	check_op(e.reads, <, 140);
	check_eq(e.reads, count);
	check_eq(e.error, -EIO);
	check_eq(e.writes + e.syncs + e.wrong, 0);
	e = work_with(PIRN_SIM_EIO_READ, MILLION, 7, &count);
	check_eq(e.reads, 7);
	check_eq(count, 7);
}

TEST(writes_fail_and_leave_any_part)
{
	struct errors e;
	uint64_t count;

	e = work_with(PIRN_SIM_EIO_WRITE, 100000, 0, &count);
	check_op(e.writes, >, 60);
	check_op(e.writes, <, 140);
	check_eq(e.writes, count);
	check_eq(e.error, -EIO);
	check_eq(e.reads, 0);
	/* none, all, or something of a page */
	check_op(e.wrong, >, 10);
	check_op(e.wrong, <=, e.writes);
}

TEST(a_failed_sync_fails_for_ever)
{
	struct errors e;
	uint64_t count;

	e = work_with(PIRN_SIM_EIO_FSYNC, 100000, 0, &count);
	check_eq(e.error, -EIO);
	check_eq(e.writes + e.reads + e.wrong, 0);
	/* the library keeps the first: there is no second sync */
	check_eq(count, 1);
	check_op(e.syncs, >, 1);
}

/* The first sync fails, and no later one is asked for. */
static int write_after(void *arg)
{
	char *buf = pirn_buf_alloc(4096);
	struct pirn_file *file = file_at("f"), *other;

	(void)arg;
	fill(buf, 4096, 0, 1);
	check_eq(pirn_pwrite(file, buf, 4096, 0, PIRN_DSYNC), 4096);
	check_eq(pirn_fsync(file), -EIO);
	fill(buf, 4096, 0, 2);
	check_eq(pirn_pwrite(file, buf, 4096, 0, PIRN_DSYNC), -EIO);
	check(strstr(pirn_reason(), "a sync of this file failed"));
	/* and nothing was written */
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	check_filled(buf, 4096, 0, 1);
	/* one that asks for no durability does what it says */
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	check_eq(pirn_open(&other, "f", O_RDWR, 0), 0);
	check_eq(pirn_pwrite(other, buf, 4096, 0, PIRN_DSYNC), 4096);
	return 0;
}

TEST(after_a_failed_sync_no_write_is_said_to_be_durable)
{
	struct pirn_sim_options opt = with_fault(11, PIRN_SIM_EIO_FSYNC,
						 MILLION);
	struct pirn_sim *sim = world(&opt);

	live(sim, write_after, NULL);
	pirn_sim_destroy(sim);
}

TEST(space_runs_out_for_writes_that_lengthen)
{
	struct errors e;
	uint64_t count;

	e = work_with(PIRN_SIM_ENOSPC, 100000, 0, &count);
	check_op(e.writes, >, 60);
	check_op(e.writes, <, 140);
	check_eq(e.writes, count);
	check_eq(e.error, -ENOSPC);
}

TEST(a_misdirected_write_is_elsewhere)
{
	struct errors e;
	uint64_t count;

	e = work_with(PIRN_SIM_MISDIRECTED, 10000, 0, &count);
	check_op(count, >, 3);
	check_eq(e.writes + e.reads + e.syncs, 0);
	/* where it was to be, and the one or two it went over */
	check_op(e.wrong, >=, count / 2);
	check_op(e.wrong, <=, 3 * count);
}

static int rewrite_bad(void *arg)
{
	char *buf = pirn_buf_alloc(4096);
	struct pirn_file *file = file_at("f");
	unsigned int i, bad;

	(void)arg;
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	/* one sector, each time, until it is written again */
	for (i = bad = 0; i < 8; i++)
		bad += pirn_pread(file, buf, 512, i * 512) == -EIO;
	check_eq(bad, 1);
	for (i = 0; i < 3; i++)
		check_eq(pirn_pread(file, buf, 4096, 0), -EIO);
	check_eq(pirn_pwrite(file, buf, 4096, 0, 0), 4096);
	check_eq(pirn_pread(file, buf, 4096, 0), 4096);
	return 0;
}

TEST(a_latent_sector_error_lasts_until_rewritten)
{
	struct pirn_sim_options opt = with_fault(1, PIRN_SIM_LATENT, MILLION);
	struct errors e;
	uint64_t count;

	opt.fault[PIRN_SIM_LATENT].most = 1;
	for (opt.seed = 0; opt.seed < 20; opt.seed++)
		live_in(&opt, rewrite_bad, NULL, NULL);
	e = work_with(PIRN_SIM_LATENT, 100000, 0, &count);
	check_op(count, >, 60);
	check_eq(e.reads, count);
	check_eq(e.writes + e.wrong, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_reads_its_buffer_at_any_instant),
		cmocka_unit_test(a_read_fills_its_buffer_when_it_ends),
		cmocka_unit_test(completions_come_in_any_order),
		cmocka_unit_test(what_is_read_is_what_was_written),
		cmocka_unit_test(a_cache_holds_what_it_is_told),
		cmocka_unit_test(a_device_has_its_size_and_blocks),
		cmocka_unit_test(files_have_the_blocks_they_are_told),
		cmocka_unit_test(files_of_the_host_are_there_when_asked_for),
		cmocka_unit_test(without_faults_nothing_fails),
		cmocka_unit_test(reads_fail_as_often_as_told),
		cmocka_unit_test(writes_fail_and_leave_any_part),
		cmocka_unit_test(a_failed_sync_fails_for_ever),
		cmocka_unit_test(after_a_failed_sync_no_write_is_said_to_be_durable),
		cmocka_unit_test(space_runs_out_for_writes_that_lengthen),
		cmocka_unit_test(a_misdirected_write_is_elsewhere),
		cmocka_unit_test(a_latent_sector_error_lasts_until_rewritten),
	};

	return run_program(argc, argv, "sim_disk", tests, array_size(tests));
}
