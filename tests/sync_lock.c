// SPDX-License-Identifier: MIT
/* Mutex, condition, read-write lock: what each promises besides sync.c. */
#include "waiter.h"

static int lock(void *arg)
{
	return pirn_mutex_lock(arg);
}

/* ----------------------------------------------------------------- mutex */

static int owner_only(void *arg)
{
	struct pirn_mutex mutex = PIRN_MUTEX_INIT, zeroed;
	struct waiter w;

	(void)arg;
	check_eq(pirn_mutex_unlock(&mutex), -EPERM);
	check_eq(pirn_mutex_lock(&mutex), 0);
	check_eq(pirn_mutex_lock(&mutex), -EDEADLK);
	check_eq(pirn_mutex_trylock(&mutex), -EDEADLK);
	check(strlen(pirn_reason()) > 0);
	check_eq(pirn_mutex_destroy(&mutex), -EBUSY);
	waiter_start(&w, lock, &mutex);
	check_eq(pirn_mutex_unlock(&mutex), 0);
	/* handed over, though its fiber has not run yet */
	check_eq(pirn_mutex_unlock(&mutex), -EPERM);
	check_eq(pirn_mutex_trylock(&mutex), -EAGAIN);
	check(strlen(pirn_reason()) == 0);
	check_eq(waiter_end(&w), 0);

	memset(&zeroed, 0, sizeof(zeroed));
	check_eq(pirn_mutex_trylock(&zeroed), 0);
	check_eq(pirn_mutex_unlock(&zeroed), 0);
	check_eq(pirn_mutex_destroy(&zeroed), 0);
	return 0;
}

TEST(only_its_owner_unlocks_a_mutex)
{
	run_on(NULL, owner_only, NULL);
}

struct guarded {
	struct pirn_mutex mutex;
	unsigned int inside;
	unsigned int next;		/* whose turn it is */
	unsigned int fibers;
};

struct comer {
	struct guarded *g;
	unsigned int id;
};

/* Unlocks and at once asks again: whoever waits has it first. */
static int lock_in_turn(void *arg)
{
	struct comer *c = arg;
	struct guarded *g = c->g;

	for (int round = 0; round < 50; round++) {
		check_eq(pirn_mutex_lock(&g->mutex), 0);
		check_eq(g->inside++, 0);
		check_eq(g->next, c->id);
		g->next = (g->next + 1) % g->fibers;
		check_eq(pirn_yield(), 0);
		check_eq(--g->inside, 0);
		check_eq(pirn_mutex_unlock(&g->mutex), 0);
	}
	return 0;
}

static int in_turn(void *arg)
{
	struct guarded g = { .fibers = 20 };
	struct comer comer[20];
	struct pirn_fiber *fiber[20];

	(void)arg;
	check_eq(pirn_mutex_lock(&g.mutex), 0);
	for (unsigned int i = 0; i < 20; i++) {
		comer[i] = (struct comer){ &g, i };
		check_eq(pirn_spawn(&fiber[i], lock_in_turn, &comer[i]), 0);
		settle();
	}
	check_eq(pirn_mutex_unlock(&g.mutex), 0);
	for (unsigned int i = 0; i < 20; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

TEST(a_mutex_goes_round_among_those_who_want_it)
{
	run_on(NULL, in_turn, NULL);
}

static int first_use(void *arg)
{
	return pirn_mutex_trylock(arg);
}

static int rebound(void *arg)
{
	struct pirn_mutex mutex = PIRN_MUTEX_INIT;
	int result;

	(void)arg;
	check_eq(pirn_mutex_lock(&mutex), 0);
	check_eq(pirn_mutex_unlock(&mutex), 0);
	check_eq(pirn_call(1, first_use, &mutex, &result), 0);
	check_eq(result, -EXDEV);
	check_eq(pirn_mutex_destroy(&mutex), 0);
	check_eq(pirn_call(1, first_use, &mutex, &result), 0);
	check_eq(result, 0);
	check_eq(pirn_mutex_trylock(&mutex), -EXDEV);
	return 0;
}

TEST(an_object_belongs_to_a_core_until_it_is_destroyed)
{
	run_on_cores(NULL, rebound, NULL);
}

/* ------------------------------------------------------------- condition */

struct monitor {
	struct pirn_mutex mutex;
	struct pirn_condition condition;
	uint64_t deadline;
	unsigned int woken;
};

/* Whatever the wait returns, the mutex is held: unlocking it says so. */
static int wait_in(void *arg)
{
	struct monitor *m = arg;
	int err;

	check_eq(pirn_mutex_lock(&m->mutex), 0);
	err = pirn_condition_wait_until(&m->condition, &m->mutex, m->deadline);
	m->woken++;
	check_eq(pirn_mutex_unlock(&m->mutex), 0);
	return err;
}

static int takes_back(void *arg)
{
	struct monitor m = { .deadline = PIRN_NEVER };
	struct waiter timed, broken, signalled;

	(void)arg;
	waiter_start(&signalled, wait_in, &m);
	m.deadline = pirn_now() + 2 * MS;
	waiter_start(&timed, wait_in, &m);
	m.deadline = PIRN_NEVER;
	waiter_start(&broken, wait_in, &m);
	check_eq(pirn_mutex_lock(&m.mutex), 0);
	check_eq(pirn_condition_signal(&m.condition), 0);
	waiter_break(&broken, -ECANCELED);
	check_eq(pirn_sleep(5 * MS), 0);
	/* all three have been woken, and cannot return without the mutex */
	check_eq(m.condition.waiters.first == NULL, 1);
	check_eq(m.woken, 0);
	/* nor be made to, while they take it back */
	waiter_break(&broken, -ECANCELED);
	waiter_break(&signalled, -ECANCELED);
	settle();
	check_eq(m.woken, 0);
	check_eq(pirn_mutex_unlock(&m.mutex), 0);
	check_eq(waiter_end(&signalled), 0);
	check_eq(waiter_end(&timed), -ETIMEDOUT);
	check_eq(waiter_end(&broken), -ECANCELED);
	check_eq(pirn_mutex_destroy(&m.mutex), 0);
	return 0;
}

TEST(a_condition_wait_returns_with_the_mutex_whatever_ended_it)
{
	run_on(NULL, takes_back, NULL);
}

static int no_signal_lost(void *arg)
{
	struct monitor m = { .deadline = PIRN_NEVER };
	struct waiter w[3];

	(void)arg;
	/* one sent to nobody is gone */
	check_eq(pirn_condition_signal(&m.condition), 0);
	for (int i = 0; i < 3; i++)
		waiter_start(&w[i], wait_in, &m);
	check_eq(m.woken, 0);
	/* who gives up takes none with it */
	waiter_break(&w[0], -ECANCELED);
	check_eq(pirn_condition_signal(&m.condition), 0);
	waiter_break(&w[1], -ECANCELED);
	settle();
	check_eq(w[0].result, -ECANCELED);
	check_eq(w[1].result, 0);
	check_eq(w[2].result, WAITS);
	check_eq(pirn_condition_broadcast(&m.condition), 0);
	for (int i = 0; i < 3; i++)
		waiter_end(&w[i]);
	check_eq(w[2].result, 0);
	return 0;
}

TEST(a_signal_is_used_up_by_the_one_it_wakes)
{
	run_on(NULL, no_signal_lost, NULL);
}

static int condition_misuse(void *arg)
{
	struct monitor m = { .deadline = PIRN_NEVER };
	struct pirn_mutex other = PIRN_MUTEX_INIT;
	struct waiter w;

	(void)arg;
	check_eq(pirn_condition_wait(&m.condition, &m.mutex), -EPERM);
	waiter_start(&w, wait_in, &m);
	check_eq(pirn_mutex_lock(&other), 0);
	check_eq(pirn_condition_wait(&m.condition, &other), -EINVAL);
	/* refused: it is still held, and was all the time */
	check_eq(pirn_condition_wait_until(&m.condition, &other, PIRN_TRY),
		 -EINVAL);
	check_eq(pirn_mutex_unlock(&other), 0);
	check_eq(pirn_mutex_lock(&m.mutex), 0);
	check_eq(pirn_condition_wait_until(&m.condition, &m.mutex, PIRN_TRY),
		 -EAGAIN);
	check_eq(pirn_mutex_unlock(&m.mutex), 0);
	check_eq(pirn_condition_signal(&m.condition), 0);
	check_eq(waiter_end(&w), 0);
	return 0;
}

TEST(a_condition_wants_its_mutex_held)
{
	run_on(NULL, condition_misuse, NULL);
}

/* ------------------------------------------------------- read-write lock */

static int take_read(void *arg)
{
	return pirn_rwlock_read(arg);
}

static int take_write(void *arg)
{
	return pirn_rwlock_write(arg);
}

static int write_and_done(void *arg)
{
	check_eq(pirn_rwlock_write(arg), 0);
	return pirn_rwlock_write_done(arg);
}

static int readers_share(void *arg)
{
	struct pirn_rwlock lock = PIRN_RWLOCK_INIT;
	struct waiter reader[4], writer[2];

	(void)arg;
	check_eq(pirn_rwlock_read_done(&lock), -EPERM);
	check_eq(pirn_rwlock_write_done(&lock), -EPERM);
	check_eq(pirn_rwlock_read(&lock), 0);
	waiter_start(&reader[0], take_read, &lock);
	check_eq(waiter_end(&reader[0]), 0);
	waiter_start(&writer[0], take_write, &lock);
	check_eq(writer[0].result, WAITS);
	/* behind a writer that waits, though others read */
	waiter_start(&reader[1], take_read, &lock);
	waiter_start(&reader[2], take_read, &lock);
	waiter_start(&writer[1], write_and_done, &lock);
	waiter_start(&reader[3], take_read, &lock);
	check_eq(pirn_rwlock_read_until(&lock, PIRN_TRY), -EAGAIN);
	check_eq(pirn_rwlock_read_done(&lock), 0);
	settle();
	check_eq(writer[0].result, WAITS);
	check_eq(pirn_rwlock_write_done(&lock), -EPERM);
	check_eq(pirn_rwlock_read_done(&lock), 0);
	settle();
	check_eq(writer[0].result, 0);
	check_eq(reader[1].result, WAITS);
	check_eq(pirn_rwlock_read_done(&lock), -EPERM);
	check_eq(pirn_rwlock_write_done(&lock), -EPERM);	/* not ours */
	check_eq(pirn_rwlock_destroy(&lock), -EBUSY);
	/* the writer's fiber has ended; as the test it may undo what it did */
	lock.writer = pirn_self();
	check_eq(pirn_rwlock_read(&lock), -EDEADLK);
	check_eq(pirn_rwlock_write(&lock), -EDEADLK);
	check_eq(pirn_rwlock_write_done(&lock), 0);
	settle();
	check_eq(reader[1].result, 0);
	check_eq(reader[2].result, 0);
	check_eq(writer[1].result, WAITS);
	check_eq(reader[3].result, WAITS);
	check_eq(pirn_rwlock_read_done(&lock), 0);
	check_eq(pirn_rwlock_read_done(&lock), 0);
	settle();
	check_eq(writer[1].result, 0);
	check_eq(reader[3].result, 0);
	check_eq(pirn_rwlock_read_done(&lock), 0);
	for (int i = 1; i < 4; i++)
		waiter_end(&reader[i]);
	waiter_end(&writer[0]);
	waiter_end(&writer[1]);
	check_eq(pirn_rwlock_destroy(&lock), 0);
	return 0;
}

TEST(readers_share_and_do_not_pass_a_writer)
{
	run_on(NULL, readers_share, NULL);
}

static int writer_leaves(void *arg)
{
	struct pirn_rwlock lock = PIRN_RWLOCK_INIT;
	struct waiter writer, reader[2], last;

	(void)arg;
	check_eq(pirn_rwlock_read(&lock), 0);
	waiter_start(&writer, take_write, &lock);
	waiter_start(&reader[0], take_read, &lock);
	waiter_start(&reader[1], take_read, &lock);
	waiter_start(&last, write_and_done, &lock);
	waiter_break(&writer, -ECANCELED);
	check_eq(waiter_end(&writer), -ECANCELED);
	/* nobody has given anything up, yet they may read */
	check_eq(waiter_end(&reader[0]), 0);
	check_eq(waiter_end(&reader[1]), 0);
	check_eq(last.result, WAITS);
	for (int i = 0; i < 3; i++)
		check_eq(pirn_rwlock_read_done(&lock), 0);
	check_eq(waiter_end(&last), 0);
	return 0;
}

TEST(a_writer_that_gives_up_lets_readers_pass)
{
	run_on(NULL, writer_leaves, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_owner_unlocks_a_mutex),
		cmocka_unit_test(a_mutex_goes_round_among_those_who_want_it),
		cmocka_unit_test(an_object_belongs_to_a_core_until_it_is_destroyed),
		cmocka_unit_test(a_condition_wait_returns_with_the_mutex_whatever_ended_it),
		cmocka_unit_test(a_signal_is_used_up_by_the_one_it_wakes),
		cmocka_unit_test(a_condition_wants_its_mutex_held),
		cmocka_unit_test(readers_share_and_do_not_pass_a_writer),
		cmocka_unit_test(a_writer_that_gives_up_lets_readers_pass),
	};

	return run_program(argc, argv, "sync_lock", tests, array_size(tests));
}
