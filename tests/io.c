// SPDX-License-Identifier: MIT
/*
 * Reads and writes: the right bytes at the right place, from every core, in
 * every size, with more asked for than there is room.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include "helpers.h"

static struct pirn_file *file;

static void open_target(void)
{
	check_eq(pirn_open(&file, test_target()->path, O_RDWR, 0), 0);
}

/* ---------------------------------------------------------- random content */

#define SLICE (128u * KiB)
#define MAX_OP (32u * KiB)

/* A fiber's part of the target, and what each block of it holds. */
struct slice {
	uint64_t start;
	uint64_t seed[SLICE / 512];
	struct rng rng;
};

static struct slice *slices;
static atomic_uint slices_taken;
static _Atomic uint64_t ops_done;

static void check_slice(const struct slice *s, const char *buf, uint64_t from,
			size_t bytes)
{
	uint32_t block = pirn_block_bytes(file);
	size_t at;

	for (at = 0; at < bytes; at += block)
		check_filled(buf + at, block, s->start + from + at,
			     s->seed[(from + at) / block]);
}

static void write_blocks(struct slice *s, char *buf, uint64_t from, size_t bytes)
{
	uint32_t block = pirn_block_bytes(file);
	uint64_t seed = rng_next(&s->rng);
	unsigned int flags = rng_below(&s->rng, 16) ? 0 : PIRN_DSYNC;
	size_t at;

	for (at = 0; at < bytes; at += block) {
		s->seed[(from + at) / block] = seed + at;
		fill(buf + at, block, s->start + from + at, seed + at);
	}
	check_eq(pirn_pwrite(file, buf, bytes, s->start + from, flags), bytes);
}

static int random_io(void *arg)
{
	struct slice *s = &slices[atomic_fetch_add(&slices_taken, 1)];
	uint32_t block = pirn_block_bytes(file), align = pirn_memory_align(file);
	char *buf, *at;
	unsigned int i, ops = *(unsigned int *)arg;
	uint64_t from;
	size_t bytes;

	check(block <= 4096 && align <= 4096);
	buf = pirn_buf_alloc(2 * MAX_OP);
	check(buf);
	for (from = 0; from < SLICE; from += MAX_OP)
		write_blocks(s, buf, from, MAX_OP);
	for (i = 0; i < ops; i++) {
		from = rng_below(&s->rng, SLICE / block) * block;
		bytes = (1 + rng_below(&s->rng, MAX_OP / block)) * block;
		if (bytes > SLICE - from)
			bytes = SLICE - from;
		at = buf + rng_below(&s->rng, MAX_OP / align) * align;
		if (rng_below(&s->rng, 2)) {
			write_blocks(s, at, from, bytes);
			continue;
		}
		memset(at, 0xee, bytes);
		check_eq(pirn_pread(file, at, bytes, s->start + from), bytes);
		check_slice(s, at, from, bytes);
	}
	atomic_fetch_add(&ops_done, ops + SLICE / MAX_OP);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static int add_stats(void *arg)
{
	struct pirn_core_stats one = { .size = sizeof(one) }, *sum = arg;

	check_eq(pirn_core_stats(&one), 0);
	check_eq(one.submitted, one.completed);
	check_op(one.enters, >, 0);
	check_op(one.turns, >, 0);
	check_op(one.seen_without_enter, <=, one.completed);
	sum->submitted += one.submitted;
	sum->completed += one.completed;
	return 0;
}

static void check_on_disk(const struct slice *s)
{
	char *buf = must(mmap(NULL, SLICE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	int fd;

	if (simulated())
		return;	/* the host does not see its files */
	fd = must(open(test_target()->path, O_RDONLY | O_DIRECT));

	check_eq(pread(fd, buf, SLICE, (off_t)s->start), SLICE);
	check_slice(s, buf, 0, SLICE);
	close(fd);
	munmap(buf, SLICE);
}

struct load {
	unsigned int fibers;	/* a core */
	unsigned int ops;	/* a fiber */
};

static int random_load(void *arg)
{
	struct load *load = arg;
	unsigned int i, cores = (unsigned int)pirn_core_count();
	unsigned int n = load->fibers * cores;
	struct pirn_core_stats sum = { 0 };

	open_target();
	slices = calloc(n, sizeof(*slices));
	check(slices);
	check_op((uint64_t)n * SLICE, <=, test_target()->bytes);
	for (i = 0; i < n; i++) {
		/* neighbours on the disk are not neighbours in time */
		slices[i].start = (uint64_t)(i * 7 % n) * SLICE;
		slices[i].rng.state = i;
	}
	if (n % 7 == 0)
		for (i = 0; i < n; i++)
			slices[i].start = (uint64_t)i * SLICE;
	run_fibers_everywhere(load->fibers, random_io, &load->ops);
	check_eq(pirn_fsync(file), 0);
	for (i = 0; i < cores; i++)
		check_eq(pirn_call(i, add_stats, &sum, NULL), 0);
	/* each small op is one op of the backend; the fsync is one more */
	check_eq(sum.submitted, ops_done + 1);
	for (i = 0; i < n; i++)
		check_on_disk(&slices[i]);
	check_eq(pirn_close(file), 0);
	free(slices);
	return 0;
}

TEST(random_reads_and_writes_from_every_core)
{
	struct load load = { scaled(32, 16), scaled(300, 60) };

	run_on(NULL, random_load, &load);
}

TEST(one_op_in_a_submission)
{
	struct load load = { 16, scaled(100, 40) };
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.io_depth = 2;
	opt.io_batch = 1;
	run_on(&opt, random_load, &load);
}

TEST(random_io_without_spinning)
{
	struct load load = { 4, scaled(200, 60) };
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.spin_ns = PIRN_NO_SPIN;
	run_on(&opt, random_load, &load);
}

/* ---------------------------------------------------------------- overload */

/* All write their own page, then all read another fiber's. */
static struct {
	unsigned int n;
	unsigned int next;
	char *memory;		/* IO memory of 4 KiB a fiber and page */
	unsigned int pieces;
} pages;

static int write_own(void *arg)
{
	unsigned int i = pages.next++;
	char *buf = pages.memory + i % pages.pieces * 4096;

	(void)arg;
	/*
	 * Fibers share pieces of memory: all that share one write the same, and
	 * the place on the disk tells which.
	 */
	check_eq(pirn_pwrite(file, buf, 4096, (uint64_t)i * 4096, 0), 4096);
	return 0;
}

static int read_other(void *arg)
{
	unsigned int i = pages.next++;
	unsigned int other = (i * 37u + 11) % pages.n;
	char *buf = pirn_buf_alloc(4096);

	(void)arg;
	check(buf);
	memset(buf, 0, 4096);
	check_eq(pirn_pread(file, buf, 4096, (uint64_t)other * 4096), 4096);
	check_filled(buf, 4096, other % pages.pieces * 4096, 77);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static int overload(void *arg)
{
	struct pirn_core_stats stats = { .size = sizeof(stats) };

	open_target();
	pages.n = *(unsigned int *)arg;
	pages.pieces = 251;
	pages.memory = pirn_buf_alloc(MiB);
	check(pages.memory);
	fill(pages.memory, MiB, 0, 77);
	pages.next = 0;
	run_fibers(pages.n, write_own, NULL);
	pages.next = 0;
	run_fibers(pages.n, read_other, NULL);
	check_eq(pirn_core_stats(&stats), 0);
	check_eq(stats.submitted, 2 * pages.n);
	check_eq(stats.completed, 2 * pages.n);
	check_eq(pirn_close(file), 0);
	return 0;
}

static void overload_with(uint32_t depth, uint32_t batch)
{
	unsigned int fibers = scaled(2000, 500);
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.io_depth = depth;
	opt.io_batch = batch;
	run_on(&opt, overload, &fibers);
}

TEST(two_thousand_fibers_at_depth_8_batch_1)
{
	overload_with(8, 1);
}

TEST(two_thousand_fibers_at_depth_8_batch_3)
{
	overload_with(8, 3);
}

TEST(two_thousand_fibers_at_depth_8_batch_8)
{
	overload_with(8, 8);
}

TEST(two_thousand_fibers_at_depth_100_batch_100)
{
	overload_with(100, 100);
}

/* ------------------------------------------------------------------ big IO */

static void big_io(char *buf, size_t bytes, uint64_t offset, uint64_t seed)
{
	fill(buf, bytes, offset, seed);
	check_eq(pirn_pwrite(file, buf, bytes, offset, 0), bytes);
	memset(buf, 0, bytes);
	check_eq(pirn_pread(file, buf, bytes, offset), bytes);
	check_filled(buf, bytes, offset, seed);
}

static int big(void *arg)
{
	static const size_t sizes[] = { 256 * KiB, MiB, MiB + 4096, 3 * MiB - 4096,
					8 * MiB };
	char *buf, check_buf[4096] __attribute__((aligned(4096)));
	size_t i;
	int fd;

	(void)arg;
	open_target();
	buf = pirn_buf_alloc(8 * MiB);
	check(buf);
	for (i = 0; i < array_size(sizes); i++)
		big_io(buf, sizes[i], 4096 * (1 + i), i);
	if (simulated())
		goto out;	/* the host does not see its files */
	/* nothing was written around the last one */
	fd = must(open(test_target()->path, O_RDWR | O_DIRECT));
	fill(check_buf, 4096, 0, 1234);
	check_eq(pwrite(fd, check_buf, 4096, MiB - 4096), 4096);
	check_eq(pwrite(fd, check_buf, 4096, 9 * MiB), 4096);
	big_io(buf, 8 * MiB, MiB, 99);
	check_eq(pread(fd, check_buf, 4096, MiB - 4096), 4096);
	check_filled(check_buf, 4096, 0, 1234);
	check_eq(pread(fd, check_buf, 4096, 9 * MiB), 4096);
	check_filled(check_buf, 4096, 0, 1234);
	check_eq(pread(fd, check_buf, 4096, 5 * MiB), 4096);
	check_filled(check_buf, 4096, 5 * MiB, 99);
	close(fd);
out:
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(io_of_many_mebibytes)
{
	run_on(NULL, big, NULL);
}

static int big_one(void *arg)
{
	unsigned int *next = arg, mine = ++*next;
	char *buf = pirn_buf_alloc(MiB);

	check(buf);
	big_io(buf, MiB, (uint64_t)mine * MiB, mine);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static int big_overload(void *arg)
{
	unsigned int next = 0;

	(void)arg;
	open_target();
	run_fibers(12, big_one, &next);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(large_ops_beyond_the_depth)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;

	opt.io_depth = 3;
	run_on(&opt, big_overload, NULL);
}

/* ---------------------------------------------------- other cores' buffers */

struct borrowed {
	char *buf;
	uint64_t offset;
};

static void write_and_read(char *buf, uint64_t offset)
{
	check_filled(buf, 16 * KiB, offset, 5);
	check_eq(pirn_pwrite(file, buf, 16 * KiB, offset, 0), 16 * KiB);
	memset(buf, 0, 16 * KiB);
	check_eq(pirn_pread(file, buf, 16 * KiB, offset), 16 * KiB);
}

/* Its own pool first: the backend must tell the two apart. */
static int use_borrowed(void *arg)
{
	struct borrowed *b = arg;
	uint64_t offset = b->offset + 32 * KiB;
	char *own = pirn_buf_alloc(16 * KiB);

	check(own);
	fill(own, 16 * KiB, offset, 5);
	write_and_read(own, offset);
	check_filled(own, 16 * KiB, offset, 5);
	write_and_read(b->buf, b->offset);
	check_filled(own, 16 * KiB, offset, 5);
	check_eq(pirn_buf_free(own), 0);
	return 0;
}

static int lend(void *arg)
{
	struct borrowed b;
	unsigned int core, round;

	(void)arg;
	open_target();
	for (round = 0; round < 4; round++) {
		for (core = 0; core < (unsigned int)pirn_core_count(); core++) {
			b.offset = (round * 64 + core) * 64 * KiB;
			b.buf = pirn_buf_alloc(16 * KiB);
			check(b.buf);
			fill(b.buf, 16 * KiB, b.offset, 5);
			check_eq(pirn_call(core, use_borrowed, &b, NULL), 0);
			check_filled(b.buf, 16 * KiB, b.offset, 5);
			check_eq(pirn_buf_free(b.buf), 0);
		}
	}
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(a_buffer_of_another_cores_pool)
{
	run_on_cores(NULL, lend, NULL);
}

/* --------------------------------------------------------------- coherence */

/*
 * A block device has a page cache that others may go through; direct IO sees
 * what they wrote and they see what it wrote, in turn (not at the same time).
 */
static int coherent(void *arg)
{
	struct rng rng = { 17 };
	char *buf, *other;
	unsigned int i;
	uint64_t offset;
	size_t bytes;
	int fd;

	(void)arg;
	open_target();
	fd = must(open(test_target()->path, O_RDWR));
	buf = pirn_buf_alloc(64 * KiB);
	other = malloc(64 * KiB);
	check(buf && other);
	for (i = 0; i < scaled(400, 100); i++) {
		bytes = (1 + rng_below(&rng, 16)) * 4096;
		offset = rng_below(&rng, 200) * 4096;
		/* now it is in the page cache, clean */
		check_eq(pread(fd, other, bytes, (off_t)offset), bytes);
		fill(buf, bytes, offset, i);
		check_eq(pirn_pwrite(file, buf, bytes, offset, 0), bytes);
		check_eq(pread(fd, other, bytes, (off_t)offset), bytes);
		check_filled(other, bytes, offset, i);
		/* now dirty */
		fill(other, bytes, offset, ~(uint64_t)i);
		check_eq(pwrite(fd, other, bytes, (off_t)offset), bytes);
		check_eq(pirn_pread(file, buf, bytes, offset), bytes);
		check_filled(buf, bytes, offset, ~(uint64_t)i);
		if (i % 4)
			continue;
		/* dirty under a direct write of a part of it */
		check_eq(pwrite(fd, other, bytes, (off_t)offset), bytes);
		fill(buf, 4096, offset, i);
		check_eq(pirn_pwrite(file, buf, 4096, offset, 0), 4096);
		check_eq(pirn_fsync(file), 0);
		check_eq(pread(fd, other, bytes, (off_t)offset), bytes);
		check_filled(other, 4096, offset, i);
		check_filled(other + 4096, bytes - 4096, offset + 4096, ~(uint64_t)i);
	}
	close(fd);
	free(other);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(coherent_with_the_page_cache_in_turn)
{
	not_simulated("the host does not see its files");
	run_on(NULL, coherent, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_reads_and_writes_from_every_core),
		cmocka_unit_test(one_op_in_a_submission),
		cmocka_unit_test(random_io_without_spinning),
		cmocka_unit_test(two_thousand_fibers_at_depth_8_batch_1),
		cmocka_unit_test(two_thousand_fibers_at_depth_8_batch_3),
		cmocka_unit_test(two_thousand_fibers_at_depth_8_batch_8),
		cmocka_unit_test(two_thousand_fibers_at_depth_100_batch_100),
		cmocka_unit_test(io_of_many_mebibytes),
		cmocka_unit_test(large_ops_beyond_the_depth),
		cmocka_unit_test(a_buffer_of_another_cores_pool),
		cmocka_unit_test(coherent_with_the_page_cache_in_turn),
	};

	return run_program(argc, argv, "io", tests, array_size(tests));
}
