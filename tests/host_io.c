// SPDX-License-Identifier: MIT
/*
 * Ops that helper threads do, on the backends that have such (aio, kmod), while
 * the rest does not wait for them.
 */
#include <pthread.h>

#include <pirn/batch.h>

#include "aio.h"

static unsigned int ended;

/* The sync of a buffered file is a helper's, too. */
static bool helped_sync(void)
{
	return wanted_backend() == PIRN_BACKEND_KMOD;
}

static int read_buffered(void *arg)
{
	struct pirn_file *buffered = arg;
	unsigned int i;

	for (i = 0; i < 16; i++)
		read_page(buffered, i);
	ended++;
	return 0;
}

/* All helpers hang: what is buffered waits, and only that. */
static int hung(void *arg)
{
	struct pirn_fiber *holder[2], *reader[10];
	unsigned int i, reads = *(unsigned int *)arg;
	struct pirn_file *buffered;
	uint64_t before;

	file = open_target();
	fill_target(16);
	check_eq(pirn_open(&buffered, test_target()->path,
			   O_RDONLY | PIRN_O_BUFFERED, 0), 0);
	for (i = 0; i < 2; i++)
		check_eq(pirn_spawn(&holder[i], hold_fiber, NULL), 0);
	while (atomic_load(&holding) < 2)
		check_eq(pirn_sleep(100000), 0);
	before = stats_now().helped_would_block;
	for (i = 0; i < 10; i++)
		check_eq(pirn_spawn(&reader[i], read_buffered, buffered), 0);
	run_fibers(8, read_many, &reads);
	check_eq(pirn_fsync(file), 0);
	if (!helped_sync())
		check_eq(pirn_fsync(buffered), 0);
	check_eq(ended, 0);
	check_eq(stats_now().helped_would_block, before);
	check_eq(stats_now().helped_buffered, 10);
	for (i = 0; i < 2; i++)
		must(sem_post(&let_go));
	for (i = 0; i < 10; i++)
		check_eq(pirn_join(reader[i], NULL), 0);
	for (i = 0; i < 2; i++)
		check_eq(pirn_join(holder[i], NULL), 0);
	check_eq(stats_now().helped_buffered, 160);
	check_eq(stats_now().submitted, stats_now().completed);
	check_eq(pirn_close(buffered), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(hung_helpers_do_not_stop_what_needs_none)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int reads = scaled(200, 40);

	must(sem_init(&let_go, 0, 0));
	opt.helper_threads = 2;
	run_on(&opt, hung, &reads);
}

static void *let_go_later(void *arg)
{
	unsigned int i;

	while (atomic_load(&holding) < 2)
		nap_ms(1);
	nap_ms(50);
	for (i = 0; i < 2; i++)
		must(sem_post(&let_go));
	return arg;
}

static struct pirn_file *kept;

static int read_all_kept(void *arg)
{
	return read_buffered(kept) + (arg != NULL);
}

/* Reads wait behind hung helpers, and the runtime ends. */
static int leave_ops(void *arg)
{
	unsigned int i;

	(void)arg;
	file = open_target();
	fill_target(16);
	check_eq(pirn_open(&kept, test_target()->path,
			   O_RDONLY | PIRN_O_BUFFERED, 0), 0);
	for (i = 0; i < 2; i++)
		check_eq(pirn_spawn(NULL, hold_fiber, NULL), 0);
	for (i = 0; i < 10; i++)
		check_eq(pirn_spawn(NULL, read_all_kept, NULL), 0);
	while (stats_now().helped_buffered < 10)
		check_eq(pirn_yield(), 0);
	return 5;
}

TEST(the_end_waits_for_ops_that_helpers_do)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	pthread_t thread;

	must(sem_init(&let_go, 0, 0));
	opt.helper_threads = 2;
	check_eq(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	check_eq(run_on(&opt, leave_ops, NULL), 5);
	check_eq(pthread_join(thread, NULL), 0);
	check_eq(ended, 0);
}

static struct pirn_file *both[2];
static unsigned int next_fiber;

/* Reads and writes of both kinds, in one batch, each its own page. */
static int mixed_fiber(void *arg)
{
	unsigned int i, mine = next_fiber++;
	char *buf = pirn_buf_alloc(8192);

	check(buf);
	for (i = 0; i < *(unsigned int *)arg; i++) {
		struct pirn_file *one = both[(mine + i) % 2];

		fill(buf, 4096, mine, i);
		check_eq(pirn_pwrite(one, buf, 4096, mine * 4096,
				     i % 8 ? 0 : PIRN_DSYNC), 4096);
		memset(buf, 0, 4096);
		check_eq(pirn_pread(one, buf, 4096, mine * 4096), 4096);
		check_filled(buf, 4096, mine, i);
		/* the other kind sees it, too */
		check_eq(pirn_fsync(one), 0);
		check_eq(pirn_pread(both[(mine + i + 1) % 2], buf + 4096, 4096,
				    mine * 4096), 4096);
		check(!memcmp(buf, buf + 4096, 4096));
	}
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

static int mixed(void *arg)
{
	unsigned int fibers = 30;
	uint64_t ops;

	check_eq(pirn_open(&both[0], test_target()->path, O_RDWR, 0), 0);
	check_eq(pirn_open(&both[1], test_target()->path,
			   O_RDWR | PIRN_O_BUFFERED, 0), 0);
	run_fibers(fibers, mixed_fiber, arg);
	ops = (uint64_t)fibers * *(unsigned int *)arg * 3;
	check_eq(stats_now().helped_buffered,
		 helped_sync() ? ops / 2 + ops / 6 : ops / 2);
	check_op(stats_now().helped_would_block, <=, ops / 2);
	check_eq(pirn_close(both[0]), 0);
	check_eq(pirn_close(both[1]), 0);
	return 0;
}

TEST(helpers_and_context_end_ops_in_any_order)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int rounds = scaled(40, 8);

	/* fewer places than fibers, in both */
	opt.io_depth = 16;
	opt.helper_threads = 3;
	run_on(&opt, mixed, &rounds);
}

/*
 * Batches of both kinds, in every order, with fewer places than ops: what ends
 * together is only what the kernel has.
 */
static int batches(void *arg)
{
	char *buf = pirn_buf_alloc(256 * KiB);
	struct pirn_io ios[40];
	struct rng rng = { 3 };
	unsigned int i, round;

	check_eq(pirn_open(&both[0], test_target()->path, O_RDWR, 0), 0);
	check_eq(pirn_open(&both[1], test_target()->path,
			   O_RDWR | PIRN_O_BUFFERED, 0), 0);
	for (round = 0; round < *(unsigned int *)arg; round++) {
		for (i = 0; i < 40; i++) {
			ios[i] = (struct pirn_io){
				.file = both[rng_below(&rng, 4) == 0],
				.buf = buf + 4096 * i, .bytes = 4096,
				.offset = 4096 * i,
			};
			fill(buf + 4096 * i, 4096, i, round);
		}
		check_eq(pirn_write_all(ios, 40, 0), 0);
		memset(buf, 0, 256 * KiB);
		for (i = 0; i < 40; i++)
			ios[i].file = both[rng_below(&rng, 4) == 0];
		check_eq(pirn_read_all(ios, 40), 0);
		for (i = 0; i < 40; i++) {
			check_eq(ios[i].result, 4096);
			check_filled(buf + 4096 * i, 4096, i, round);
		}
	}
	check_op(stats_now().helped_buffered, >, 0);
	check_eq(stats_now().submitted, stats_now().completed);
	check_eq(pirn_buf_free(buf), 0);
	check_eq(pirn_close(both[0]), 0);
	check_eq(pirn_close(both[1]), 0);
	return 0;
}

TEST(a_batch_may_be_of_both_kinds)
{
	static const uint32_t depths[] = { 2, 5, 16, 64 };
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int i, rounds = scaled(40, 8);

	for (i = 0; i < array_size(depths); i++) {
		opt.io_depth = depths[i];
		run_on(&opt, batches, &rounds);
	}
}

/* What must allocate blocks would have made io_submit wait. */
static int would_block(void *arg)
{
	struct pirn_core_stats was, is;
	char *buf = pirn_buf_alloc(64 * KiB);
	unsigned int i;

	check_eq(pirn_open(&file, arg, O_RDWR | O_CREAT, 0600), 0);
	was = stats_now();
	for (i = 0; i < 8; i++) {
		fill(buf, 64 * KiB, i, 1);
		check_eq(pirn_pwrite(file, buf, 64 * KiB, i * 64 * KiB,
				     i & 1 ? PIRN_DSYNC : 0), 64 * KiB);
	}
	is = stats_now();
	check_op(is.helped_would_block, >, was.helped_would_block);
	check_eq(is.helped_buffered, 0);
	check_eq(is.submitted - was.submitted, 8);
	check_eq(is.completed - was.completed, 8);
	for (i = 0; i < 8; i++) {
		check_eq(pirn_pread(file, buf, 64 * KiB, i * 64 * KiB), 64 * KiB);
		check_filled(buf, 64 * KiB, i, 1);
	}
	check_eq(pirn_size(file), 512 * KiB);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_buf_free(buf), 0);
	return 0;
}

TEST(what_would_block_is_done_by_a_helper)
{
	if (wanted_backend() == PIRN_BACKEND_KMOD)
		skip_case("the module gives it to a worker of its own");
	run_on(NULL, would_block, (void *)(uintptr_t)new_path("grows"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hung_helpers_do_not_stop_what_needs_none),
		cmocka_unit_test(the_end_waits_for_ops_that_helpers_do),
		cmocka_unit_test(helpers_and_context_end_ops_in_any_order),
		cmocka_unit_test(a_batch_may_be_of_both_kinds),
		cmocka_unit_test(what_would_block_is_done_by_a_helper),
	};

	return run_program(argc, argv, "host_io", tests, array_size(tests));
}
