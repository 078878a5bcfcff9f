// SPDX-License-Identifier: MIT
/* The rings of a channel: what ENTER takes, what the CQ holds, who may map it. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "device.h"

/* ------------------------------------------------------------ ENTER's word */

static void submit_nops(struct channel *ch, unsigned int n, uint64_t first_cookie)
{
	while (n--)
		next_sqe(ch)->cookie = first_cookie++;
}

static void expect_cookies(struct channel *ch, unsigned int n, uint64_t first)
{
	struct pirn_cqe cqe;

	while (n--) {
		cqe = take_cqe(ch);
		check_eq(cqe.cookie, first++);
		check_eq(cqe.res, 0);
	}
}

TEST(enter_refuses_what_it_does_not_know)
{
	struct channel ch;
	unsigned int bit;

	channel_open(&ch, 4, 8);
	submit_nops(&ch, 4, 1);
	for (bit = 17; bit < 64; bit++)
		must_fail(ioctl(ch.fd, PIRN_IOC_ENTER, 4ul | 1ul << bit), EINVAL);
	must_fail(enter(&ch, 5), EINVAL);
	must_fail(enter(&ch, PIRN_ENTER_COUNT_MASK), EINVAL);
	must_fail(enter(&ch, 5 | PIRN_ENTER_WAIT), EINVAL);
	must_fail(enter_until(&ch, 5, 0, 0), EINVAL);
	must_fail(enter_until(&ch, UINT_MAX, 0, 0), EINVAL);
	must_fail(enter_until(&ch, 4, 0, 1), EINVAL);
	must_fail(enter_until(&ch, 4, 1, 0), EINVAL);
	/* nothing of all that was done */
	check_eq(cq_ready(&ch), 0);
	check_eq(ch.ring->sq_head, 0);
	check_eq(enter(&ch, 0), 0);
	check_eq(enter(&ch, 3), 3);
	check_eq(ch.ring->sq_head, 3);
	check_eq(enter_until(&ch, 1, PIRN_ENTER_WAIT, 1), 1 | PIRN_ENDED_CQE);
	expect_cookies(&ch, 4, 1);
	channel_close(&ch);
}

TEST(cookies_come_back_as_they_are)
{
	const uint64_t cookies[] = { 0, 1, UINT64_MAX, 1ull << 63, 0xffffffff };
	struct channel ch;
	size_t i;

	channel_open(&ch, 8, 8);
	for (i = 0; i < array_size(cookies); i++)
		next_sqe(&ch)->cookie = cookies[i];
	check_eq(enter(&ch, array_size(cookies)), array_size(cookies));
	for (i = 0; i < array_size(cookies); i++)
		check_eq(take_cqe(&ch).cookie, cookies[i]);
	channel_close(&ch);
}

/* ------------------------------------------------------------ room in the CQ */

/* Nobody reads: exactly cq_entries are admitted, and all of them are kept. */
static void fill_and_read(struct channel *ch, uint32_t sq, uint32_t cq)
{
	uint64_t cookie = 1, expected = 1;
	uint32_t n, taken;

	for (n = 0; n < cq; n += sq) {
		submit_nops(ch, sq, cookie);
		cookie += sq;
		check_eq(enter(ch, sq), sq);
	}
	submit_nops(ch, sq, cookie);
	for (n = 0; n < 5; n++)
		check_eq(enter(ch, sq), 0);
	/* with WAIT there is nothing to wait for */
	check_eq(enter(ch, sq | PIRN_ENTER_WAIT), 0);
	check_eq(cq_ready(ch), cq);
	/* one is read, one goes through, and so on; the order holds */
	for (n = 0; n < sq; n++) {
		expect_cookies(ch, 1, expected++);
		taken = (uint32_t)must(enter(ch, sq - n));
		check_eq(taken, 1);
		cookie++;
	}
	check_eq(cq_ready(ch), cq);
	expect_cookies(ch, cq, expected);
	check_eq(cookie, expected + cq);
}

TEST(a_full_cq_admits_no_more_and_loses_nothing)
{
	const uint32_t sizes[][2] = { { 4, 8 }, { 1, 1 }, { 1, 4 }, { 16, 16 },
				      { 2, 1024 }, { 4096, 16384 } };
	struct channel ch;
	size_t i;

	for (i = 0; i < array_size(sizes); i++) {
		channel_open(&ch, sizes[i][0], sizes[i][1]);
		fill_and_read(&ch, sizes[i][0], sizes[i][1]);
		fill_and_read(&ch, sizes[i][0], sizes[i][1]);
		channel_close(&ch);
	}
}

/* An op in flight holds its place in the CQ from the start. */
TEST(ops_in_flight_take_places_too)
{
	struct pirn_sqe sqe;
	struct rig rig;
	char path[32];
	int i, nops;

	slow_disk(1, 300000000, path);
	rig_open(&rig, 8, 64 * KiB, path);
	for (i = 0; i < 6; i++) {
		sqe = io_sqe(PIRN_OP_READ, 0, 0, 4096);
		sqe.cookie = 100;
		*next_sqe(&rig.ch) = sqe;
	}
	check_eq(enter(&rig.ch, 6), 6);
	submit_nops(&rig.ch, 8, 0);
	nops = must(enter(&rig.ch, 8));
	/* two places are left, also if a read has ended: nobody took its CQE */
	check_eq(nops, 2);
	while (nops < 8) {
		check_op(cq_ready(&rig.ch), <=, 8);
		while (cq_ready(&rig.ch))
			take_cqe(&rig.ch);
		nops += must(enter(&rig.ch, (uint32_t)(8 - nops) | PIRN_ENTER_WAIT));
	}
	await_no_ops();
	rig_close(&rig);
}

/* ------------------------------------------------------- lies in the header */

TEST(a_lying_head_only_makes_the_ring_look_full)
{
	struct rng rng = { 11 };
	struct pirn_cqe before[16];
	struct channel ch;
	uint32_t i, lie, tail;

	channel_open(&ch, 8, 16);
	submit_nops(&ch, 8, 1);
	check_eq(enter(&ch, 8), 8);
	memcpy(before, ch.cq, sizeof(before));
	submit_nops(&ch, 8, 9);
	tail = cq_tail(&ch);
	for (i = 0; i < 500; i++) {
		lie = i < 20 ? tail + 1 + i : (uint32_t)rng_next(&rng);
		if (tail - lie <= 16)
			continue;
		__atomic_store_n(&ch.ring->cq_head, lie, __ATOMIC_RELEASE);
		check_eq(enter(&ch, 8), 0);
		check_eq(cq_tail(&ch), tail);
		check_eq(memcmp(before, ch.cq, sizeof(before)), 0);
	}
	__atomic_store_n(&ch.ring->cq_head, 0, __ATOMIC_RELEASE);
	check_eq(enter(&ch, 8), 8);
	expect_cookies(&ch, 16, 1);
	channel_close(&ch);
}

TEST(what_the_kernel_writes_it_does_not_read_back)
{
	struct channel ch;
	uint32_t i;

	channel_open(&ch, 4, 4);
	for (i = 0; i < 50; i++) {
		ch.ring->sq_head = i * 0x1234567;
		ch.ring->cq_tail = i * 0x7654321;
		ch.ring->sq_entries = 1u << (i % 32);
		ch.ring->cq_entries = i;
		ch.ring->sq_offset = i * 4096;
		ch.ring->cq_offset = ~i;
		ch.ring->magic = i;
		ch.ring->mmap_bytes = 1ull << (i + 13);
		ch.sq[i % 4] = (struct pirn_sqe){ .cookie = i };
		check_eq(enter(&ch, 1), 1);
		check_eq(ch.ring->sq_head, i + 1);
		check_eq(ch.ring->cq_tail, i + 1);
		check_eq(ch.cq[i % 4].cookie, i);
		ch.ring->cq_head = i + 1;
	}
	ch.bytes = 8192;
	munmap(ch.ring, PAGE);
	close(ch.fd);
}

static struct channel shared;
static volatile bool stop;

static void *scribble(void *arg)
{
	struct rng rng = { 12 };
	uint32_t i;

	(void)arg;
	while (!stop) {
		for (i = 0; i < sizeof(*shared.ring) / 4; i++)
			((volatile uint32_t *)shared.ring)[i] = (uint32_t)rng_next(&rng);
		for (i = 0; i < 16 * sizeof(struct pirn_sqe) / 4; i++)
			((volatile uint32_t *)shared.sq)[i] = (uint32_t)rng_next(&rng);
	}
	return NULL;
}

/* Another thread writes everything, all the time: the kernel survives it. */
TEST(a_ring_that_changes_under_the_kernel)
{
	struct pool pool;
	pthread_t thread;
	unsigned int i;

	channel_open(&shared, 16, 16);
	pool_open(&pool, 64 * KiB);
	must(attach_pool_fd(&shared, pool.fd));
	attach_disk(&shared, NVME_DISK, O_RDONLY);
	check_eq(pthread_create(&thread, NULL, scribble, NULL), 0);
	for (i = 0; i < 3000; i++) {
		shared.ring->cq_head = i * 16;
		check_op(enter(&shared, 16), <=, 16);
	}
	stop = true;
	pthread_join(thread, NULL);
	await_no_ops();
	munmap(shared.ring, shared.bytes);
	close(shared.fd);
	pool_close(&pool);
}

/* --------------------------------------------------------------- random use */

TEST(random_batches_keep_their_order)
{
	struct rng rng = { 13 };
	uint64_t submitted = 0, written = 0, read = 0, taken;
	struct channel ch;
	uint32_t i, n;

	channel_open(&ch, 16, 32);
	for (i = 0; i < 5000; i++) {
		n = (uint32_t)rng_below(&rng, 17 - (written - submitted));
		submit_nops(&ch, n, written);
		written += n;
		n = (uint32_t)rng_below(&rng, written - submitted + 1);
		taken = (uint64_t)must(enter(&ch, n));
		if (32 - (submitted - read) >= n)
			check_eq(taken, n);
		else
			check_eq(taken, 32 - (submitted - read));
		submitted += taken;
		check_eq(cq_ready(&ch), submitted - read);
		n = (uint32_t)rng_below(&rng, submitted - read + 1);
		expect_cookies(&ch, n, read);
		read += n;
	}
	channel_close(&ch);
}

/* SQEs are read during ENTER and never again. */
TEST(sqes_may_be_reused_after_enter)
{
	struct pirn_sqe sqe;
	struct rig rig;
	char path[32];
	unsigned int i;

	slow_disk(1, 20000000, path);
	rig_open(&rig, 16, 64 * KiB, path);
	fill(rig.pool.memory, 64 * KiB, 0, 1);
	for (i = 0; i < 16; i++) {
		sqe = io_sqe(PIRN_OP_WRITE, i * 4096, i * 4096, 4096);
		sqe.cookie = i;
		*next_sqe(&rig.ch) = sqe;
	}
	check_eq(enter(&rig.ch, 16), 16);
	memset(rig.ch.sq, 0xff, 16 * sizeof(*rig.ch.sq));
	await_cqes(&rig.ch, 16);
	for (i = 0; i < 16; i++)
		check_eq(take_cqe(&rig.ch).res, 4096);
	memset(rig.pool.memory, 0, 64 * KiB);
	check_eq(rig_io(&rig, PIRN_OP_READ, 0, 0, 64 * KiB), 64 * KiB);
	check_filled(rig.pool.memory, 64 * KiB, 0, 1);
	rig_close(&rig);
}

/* ---------------------------------------------------- mapping and processes */

TEST(a_channel_is_mapped_shared_and_whole)
{
	struct channel ch;
	void *map;

	channel_open(&ch, 64, 64);
	check_op(ch.bytes, >, PAGE);
	must_fail((long)mmap(NULL, ch.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			     ch.fd, 0), EINVAL);
	must_fail((long)mmap(NULL, ch.bytes, PROT_READ, MAP_PRIVATE, ch.fd, 0),
		  EINVAL);
	must_fail((long)mmap(NULL, ch.bytes + PAGE, PROT_READ, MAP_SHARED, ch.fd, 0),
		  EINVAL);
	must_fail((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ch.fd, (off_t)PAGE),
		  EINVAL);
	must_fail((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ch.fd,
			     (off_t)ch.bytes), EINVAL);
	must_fail((long)mremap(ch.ring, ch.bytes, ch.bytes + PAGE, MREMAP_MAYMOVE),
		  EFAULT);
	/* a second one shows the same */
	must_fail((long)mmap(NULL, ch.bytes, PROT_READ | PROT_EXEC, MAP_SHARED,
			     ch.fd, 0), EPERM);
	map = must(mmap(NULL, ch.bytes, PROT_READ, MAP_SHARED, ch.fd, 0));
	must_fail(mprotect(map, ch.bytes, PROT_READ | PROT_EXEC), EACCES);
	submit_nops(&ch, 3, 1);
	check_eq(enter(&ch, 3), 3);
	check_eq(((struct pirn_ring_header *)map)->cq_tail, 3);
	munmap(map, ch.bytes);
	/* and it outlives the fd */
	close(ch.fd);
	expect_cookies(&ch, 3, 1);
	munmap(ch.ring, ch.bytes);
}

static int child_status(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0));
	return status;
}

TEST(a_child_has_the_fd_but_not_the_rings)
{
	struct channel ch;
	struct pool pool;
	pid_t pid;
	int status;

	channel_open(&ch, 4, 4);
	pool_open(&pool, PAGE);
	check_eq(enter(&ch, 0), 0);
	pid = must(fork());
	if (!pid) {
		must_fail(enter(&ch, 0), EPERM);
		must_fail(enter(&ch, PIRN_ENTER_WAIT), EPERM);
		must_fail(enter_until(&ch, 0, 0, 0), EPERM);
		/* anybody with the fd may NOTIFY */
		must(ioctl(ch.fd, PIRN_IOC_NOTIFY, 0));
		_exit(0);
	}
	check_eq(child_status(pid), 0);
	check_eq(enter(&ch, PIRN_ENTER_WAIT), 0);
	pid = must(fork());
	if (!pid) {
		*(volatile uint32_t *)&ch.ring->cq_head = 1;
		_exit(0);
	}
	status = child_status(pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	pid = must(fork());
	if (!pid) {
		*(volatile char *)pool.memory = 1;
		_exit(0);
	}
	status = child_status(pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	channel_close(&ch);
	pool_close(&pool);
}

TEST(the_first_enter_binds_not_the_creation)
{
	struct channel ch;
	pid_t pid;

	channel_open(&ch, 4, 4);
	pid = must(fork());
	if (!pid) {
		check_eq(enter(&ch, 0), 0);
		_exit(0);
	}
	check_eq(child_status(pid), 0);
	must_fail(enter(&ch, 0), EPERM);
	channel_close(&ch);
}

static void *enter_thread(void *arg)
{
	return (void *)(intptr_t)enter(arg, 2);
}

TEST(any_thread_of_the_process_may_enter)
{
	struct channel ch;
	pthread_t thread;
	void *ret;

	channel_open(&ch, 4, 4);
	check_eq(enter(&ch, 0), 0);
	submit_nops(&ch, 2, 1);
	check_eq(pthread_create(&thread, NULL, enter_thread, &ch), 0);
	check_eq(pthread_join(thread, &ret), 0);
	check_eq((intptr_t)ret, 2);
	expect_cookies(&ch, 2, 1);
	channel_close(&ch);
}

TEST(a_channel_is_neither_read_nor_written)
{
	struct channel ch;
	char byte = 0;

	channel_open(&ch, 4, 4);
	check_eq(read(ch.fd, &byte, 1), -1);
	check_eq(write(ch.fd, &byte, 1), -1);
	channel_close(&ch);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enter_refuses_what_it_does_not_know),
		cmocka_unit_test(cookies_come_back_as_they_are),
		cmocka_unit_test(a_full_cq_admits_no_more_and_loses_nothing),
		cmocka_unit_test(ops_in_flight_take_places_too),
		cmocka_unit_test(a_lying_head_only_makes_the_ring_look_full),
		cmocka_unit_test(what_the_kernel_writes_it_does_not_read_back),
		cmocka_unit_test(a_ring_that_changes_under_the_kernel),
		cmocka_unit_test(random_batches_keep_their_order),
		cmocka_unit_test(sqes_may_be_reused_after_enter),
		cmocka_unit_test(a_channel_is_mapped_shared_and_whole),
		cmocka_unit_test(a_child_has_the_fd_but_not_the_rings),
		cmocka_unit_test(the_first_enter_binds_not_the_creation),
		cmocka_unit_test(any_thread_of_the_process_may_enter),
		cmocka_unit_test(a_channel_is_neither_read_nor_written),
	};

	return run_program(argc, argv, "channel", tests, array_size(tests));
}
