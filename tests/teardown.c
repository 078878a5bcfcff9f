// SPDX-License-Identifier: MIT
/*
 * The end of things with IO in flight: closing, dying, unloading. Whatever a
 * process leaves behind must complete and be freed, and the module must go and
 * come again. Loads and unloads $PIRN_KO, or the module tests/vm/run loaded.
 */
#include <signal.h>

#include "device.h"
#include "dying.h"
#include "module.h"

#define MS 1000000ull

/* The pages of a pool that is gone, used by others, are theirs alone. */
static void use_memory(void)
{
	size_t bytes = 64 * MiB;
	char *memory = must(mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));

	fill(memory, bytes, 0, 1);
	nap_ms(20);
	check_filled(memory, bytes, 0, 1);
	munmap(memory, bytes);
}

/* ------------------------------------------------------------------ unload */

TEST(the_module_stays_while_it_is_used)
{
	int fd = open_device();
	struct channel ch;
	struct pool pool;
	void *map;

	cannot_unload();
	close(fd);
	channel_open(&ch, 4, 4);
	cannot_unload();
	must(close(ch.fd));
	/* its mapping is left */
	cannot_unload();
	must(munmap(ch.ring, ch.bytes));
	pool_open(&pool, 64 * KiB);
	cannot_unload();
	map = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, pool.fd, PAGE));
	pool_close(&pool);
	cannot_unload();
	must(munmap(map, PAGE));
	await_unload();
	module_load();
	fd = open_device();
	close(fd);
}

TEST(a_pool_in_a_channel_keeps_the_module)
{
	struct channel ch;
	struct pool pool;

	channel_open(&ch, 4, 4);
	pool_open(&pool, 64 * KiB);
	must(attach_pool_fd(&ch, pool.fd));
	pool_close(&pool);
	cannot_unload();
	channel_close(&ch);
	await_unload();
	module_load();
}

/* ----------------------------------------------------------------- closing */

/* Spread over the first @targets. */
static void submit_many(struct rig *rig, unsigned int n, unsigned int targets,
			struct rng *rng)
{
	struct pirn_sqe sqe;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sqe = io_sqe(rng_below(rng, 3) ? PIRN_OP_READ : PIRN_OP_WRITE,
			     4096 * rng_below(rng, 1000), 4096 * (i % 16), 4096);
		sqe.target = (uint16_t)(i % targets);
		*next_sqe(&rig->ch) = sqe;
	}
	check_op(must(enter(&rig->ch, n)), >, 0);
}

TEST(channels_closed_with_io_in_flight)
{
	struct rng rng = { 1 };
	struct rig rig;
	char path[32];
	int i;

	slow_disk(1, 30 * MS, path);
	for (i = 0; i < 20; i++) {
		rig_open(&rig, 32, 64 * KiB, path);
		/* some of these end before others, each as the last of its target */
		check_eq(attach_disk(&rig.ch, FAST_DISK, O_RDWR), 1);
		check_eq(attach_disk(&rig.ch, NVME_DISK, O_RDWR), 2);
		check_eq(attach_disk(&rig.ch, path, O_RDWR), 3);
		submit_many(&rig, 32, 1 + (unsigned int)i % 4, &rng);
		/* pool and channel in either order, before or after some ended */
		if (i % 3 == 0)
			nap_ms((unsigned int)i * 2);
		if (i % 2)
			must(close(rig.pool.fd));
		channel_close(&rig.ch);
		if (i % 2)
			must(munmap(rig.pool.memory, rig.pool.bytes));
		else
			pool_close(&rig.pool);
	}
	use_memory();
	/* so slow that it is still at work when the module is tried three times */
	slow_disk(2, 2000 * MS, path);
	rig_open(&rig, 32, 64 * KiB, path);
	submit_many(&rig, 1, 1, &rng);
	rig_close(&rig);
	cannot_unload();
	await_no_ops();
	await_unload();
	module_load();
}

/* ------------------------------------------------------------------- dying */

TEST(processes_killed_with_io_in_flight)
{
	struct rng rng = { 5 };
	char path[32];
	int round, status;
	pid_t pid[2];

	slow_disk(1, 20 * MS, path);
	for (round = 0; round < 50; round++) {
		pid[0] = start_dying(path, rng_next(&rng));
		pid[1] = round % 3 ? 0 : start_dying(NVME_DISK, rng_next(&rng));
		nap_ms((unsigned int)rng_below(&rng, 60));
		must(kill(pid[0], SIGKILL));
		must(waitpid(pid[0], &status, 0));
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		if (!pid[1])
			continue;
		must(kill(pid[1], SIGKILL));
		must(waitpid(pid[1], &status, 0));
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	use_memory();
	await_no_ops();
	await_unload();
	module_load();
	check_eq(ops_in_flight(), 0);
}

/* Unloaded as soon as it can be, while the last completions are at work. */
TEST(unload_right_after_the_last_completion)
{
	struct rng rng = { 6 };
	struct rig rig;
	char path[32];
	int i, tries;

	slow_disk(1, 5 * MS, path);
	for (i = 0; i < 15; i++) {
		rig_open(&rig, 32, 64 * KiB, path);
		check_eq(attach_disk(&rig.ch, NVME_DISK, O_RDWR), 1);
		submit_many(&rig, 32, 2, &rng);
		rig_close(&rig);
		for (tries = 0; module_unload() && tries < 1000000; tries++)
			;
		check_op(tries, <, 1000000);
		module_load();
	}
}

/* A write to freed memory would show in what is allocated again. */
TEST(reads_into_a_pool_that_was_closed_do_no_harm)
{
	struct rig rig, other;
	char path[32];
	unsigned int i;

	slow_disk(1, 100 * MS, path);
	for (i = 0; i < 10; i++) {
		rig_open(&rig, 16, 64 * KiB, path);
		while (rig.ch.sq_tail < 16)
			*next_sqe(&rig.ch) = io_sqe(PIRN_OP_READ, 0,
						    4096 * rig.ch.sq_tail, 4096);
		check_op(must(enter(&rig.ch, 16)), >, 0);
		rig_close(&rig);
		pool_open(&other.pool, 2 * MiB);
		fill(other.pool.memory, 2 * MiB, 0, i);
		use_memory();
		await_no_ops();
		check_filled(other.pool.memory, 2 * MiB, 0, i);
		pool_close(&other.pool);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_module_stays_while_it_is_used),
		cmocka_unit_test(a_pool_in_a_channel_keeps_the_module),
		cmocka_unit_test(channels_closed_with_io_in_flight),
		cmocka_unit_test(processes_killed_with_io_in_flight),
		cmocka_unit_test(unload_right_after_the_last_completion),
		cmocka_unit_test(reads_into_a_pool_that_was_closed_do_no_harm),
	};

	return run_program(argc, argv, "teardown", tests, array_size(tests));
}
