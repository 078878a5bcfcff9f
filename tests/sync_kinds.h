/* SPDX-License-Identifier: MIT */
/*
 * Every kind of wait there is, in one form: an object on which fibers wait, and
 * how they are let pass.
 */
#ifndef PIRN_TESTS_SYNC_KINDS_H
#define PIRN_TESTS_SYNC_KINDS_H

#include "waiter.h"

static struct pirn_mutex mutex;
static struct pirn_condition condition;
static struct pirn_semaphore semaphore;
static struct pirn_rwlock rwlock;
static struct pirn_event event, other_event;
static struct pirn_future future;
static struct pirn_barrier barrier;
static struct pirn_gate gate;
static struct pirn_wait_group group;
static uint64_t ring[1];
static struct pirn_fifo fifo;

struct kind {
	const char *name;
	/* Makes the object anew so that @n who come will wait. */
	void (*block)(unsigned int n);
	/* The call under test; on success the next one can have its turn. */
	int (*wait)(uint64_t deadline);
	/* Lets one pass, or all. */
	void (*release)(void);
	int (*destroy)(void);
	enum {
		ALL_AT_ONCE,
		ONE_BY_ONE,
		BY_NUMBER,	/* all, and one that gave up must be replaced */
	} passing;
};

static void mutex_block(unsigned int n)
{
	(void)n;
	mutex = (struct pirn_mutex)PIRN_MUTEX_INIT;
	check_eq(pirn_mutex_lock(&mutex), 0);
}

static int mutex_wait(uint64_t deadline)
{
	int err = pirn_mutex_lock_until(&mutex, deadline);

	if (!err)
		check_eq(pirn_mutex_unlock(&mutex), 0);
	return err;
}

static void mutex_release(void)
{
	check_eq(pirn_mutex_unlock(&mutex), 0);
}

static int mutex_destroy(void)
{
	return pirn_mutex_destroy(&mutex);
}

static void condition_block(unsigned int n)
{
	(void)n;
	mutex = (struct pirn_mutex)PIRN_MUTEX_INIT;
	condition = (struct pirn_condition)PIRN_CONDITION_INIT;
}

static int condition_wait(uint64_t deadline)
{
	int err = pirn_mutex_lock(&mutex);

	if (err)
		return err;
	err = pirn_condition_wait_until(&condition, &mutex, deadline);
	check_eq(pirn_mutex_unlock(&mutex), 0);
	return err;
}

static void condition_release(void)
{
	check_eq(pirn_condition_signal(&condition), 0);
}

static void condition_release_all(void)
{
	check_eq(pirn_condition_broadcast(&condition), 0);
}

static int condition_destroy(void)
{
	return pirn_condition_destroy(&condition);
}

static void semaphore_block(unsigned int n)
{
	(void)n;
	semaphore = (struct pirn_semaphore)PIRN_SEMAPHORE_INIT(2);
}

static int semaphore_wait(uint64_t deadline)
{
	return pirn_semaphore_wait_until(&semaphore, 3, deadline);
}

/* 2 are left over in the end. */
static void semaphore_release(void)
{
	check_eq(pirn_semaphore_post(&semaphore, 3), 0);
}

static int semaphore_destroy(void)
{
	return pirn_semaphore_destroy(&semaphore);
}

static void readers_block(unsigned int n)
{
	(void)n;
	rwlock = (struct pirn_rwlock)PIRN_RWLOCK_INIT;
	check_eq(pirn_rwlock_write(&rwlock), 0);
}

static int reader_wait(uint64_t deadline)
{
	int err = pirn_rwlock_read_until(&rwlock, deadline);

	if (!err)
		check_eq(pirn_rwlock_read_done(&rwlock), 0);
	return err;
}

static void readers_release(void)
{
	check_eq(pirn_rwlock_write_done(&rwlock), 0);
}

static void writers_block(unsigned int n)
{
	(void)n;
	rwlock = (struct pirn_rwlock)PIRN_RWLOCK_INIT;
	check_eq(pirn_rwlock_read(&rwlock), 0);
}

static int writer_wait(uint64_t deadline)
{
	int err = pirn_rwlock_write_until(&rwlock, deadline);

	if (!err)
		check_eq(pirn_rwlock_write_done(&rwlock), 0);
	return err;
}

static void writers_release(void)
{
	check_eq(pirn_rwlock_read_done(&rwlock), 0);
}

static int rwlock_destroy(void)
{
	return pirn_rwlock_destroy(&rwlock);
}

static void event_block(unsigned int n)
{
	(void)n;
	event = (struct pirn_event)PIRN_EVENT_INIT;
}

static void automatic_block(unsigned int n)
{
	(void)n;
	event = (struct pirn_event)PIRN_EVENT_AUTOMATIC_INIT;
}

static int event_wait(uint64_t deadline)
{
	return pirn_event_wait_until(&event, deadline);
}

static void event_release(void)
{
	check_eq(pirn_event_set(&event), 0);
}

static int event_destroy(void)
{
	return pirn_event_destroy(&event);
}

static void select_block(unsigned int n)
{
	automatic_block(n);
	other_event = (struct pirn_event)PIRN_EVENT_INIT;
}

static int select_wait(uint64_t deadline)
{
	struct pirn_select_case cases[] = {
		{ .kind = PIRN_SELECT_EVENT, .object = &event, .result = 1 },
		{ .kind = PIRN_SELECT_EVENT, .object = &other_event },
	};
	int i = pirn_select(cases, 2, 0, deadline);

	return i < 0 ? i : cases[i].result;
}

static int select_destroy(void)
{
	int err = pirn_event_destroy(&other_event);

	return err ? err : event_destroy();
}

static void future_block(unsigned int n)
{
	(void)n;
	future = (struct pirn_future)PIRN_FUTURE_INIT;
}

static int future_wait(uint64_t deadline)
{
	int64_t value = 0;
	int err = pirn_future_wait_until(&future, &value, deadline);

	if (!err)
		check_eq(value, 77);
	return err;
}

static void future_release(void)
{
	check_eq(pirn_future_set(&future, 0, 77), 0);
}

static int future_destroy(void)
{
	return pirn_future_destroy(&future);
}

static void barrier_block(unsigned int n)
{
	barrier = (struct pirn_barrier)PIRN_BARRIER_INIT(n + 1);
}

static int barrier_wait(uint64_t deadline)
{
	return pirn_barrier_wait_until(&barrier, deadline);
}

static void barrier_release(void)
{
	check_eq(pirn_barrier_wait(&barrier), PIRN_BARRIER_SERIAL);
}

static int barrier_destroy(void)
{
	return pirn_barrier_destroy(&barrier);
}

static void gate_block(unsigned int n)
{
	(void)n;
	gate = (struct pirn_gate)PIRN_GATE_INIT;
	check_eq(pirn_gate_enter(&gate), 0);
}

static int gate_wait(uint64_t deadline)
{
	return pirn_gate_close_until(&gate, deadline);
}

static void gate_release(void)
{
	check_eq(pirn_gate_leave(&gate), 0);
}

static int gate_destroy(void)
{
	return pirn_gate_destroy(&gate);
}

static void group_block(unsigned int n)
{
	(void)n;
	group = (struct pirn_wait_group)PIRN_WAIT_GROUP_INIT;
	check_eq(pirn_wait_group_add(&group, 1), 0);
}

static int group_wait(uint64_t deadline)
{
	return pirn_wait_group_wait_until(&group, deadline);
}

static void group_release(void)
{
	check_eq(pirn_wait_group_done(&group), 0);
}

static int group_destroy(void)
{
	return pirn_wait_group_destroy(&group);
}

static void receive_block(unsigned int n)
{
	(void)n;
	fifo = (struct pirn_fifo)PIRN_FIFO_INIT(ring);
}

static void send_block(unsigned int n)
{
	uint64_t item = 1;

	receive_block(n);
	check_eq(pirn_fifo_send(&fifo, &item), 0);
}

static int send_wait(uint64_t deadline)
{
	uint64_t item = 1;

	return pirn_fifo_send_until(&fifo, &item, deadline);
}

static void send_release(void)
{
	uint64_t item = 0;

	check_eq(pirn_fifo_receive(&fifo, &item), 0);
	check_eq(item, 1);
}

static int receive_wait(uint64_t deadline)
{
	uint64_t item = 0;
	int err = pirn_fifo_receive_until(&fifo, &item, deadline);

	check_eq(item, err ? 0 : 1);
	return err;
}

static void receive_release(void)
{
	uint64_t item = 1;

	check_eq(pirn_fifo_send(&fifo, &item), 0);
}

static int fifo_destroy(void)
{
	return pirn_fifo_destroy(&fifo);
}

static const struct kind kinds[] = {
	{ "mutex", mutex_block, mutex_wait, mutex_release, mutex_destroy, ALL_AT_ONCE },
	{ "condition", condition_block, condition_wait, condition_release,
	  condition_destroy, ONE_BY_ONE },
	{ "condition, all", condition_block, condition_wait,
	  condition_release_all, condition_destroy, ALL_AT_ONCE },
	{ "semaphore", semaphore_block, semaphore_wait, semaphore_release,
	  semaphore_destroy, ONE_BY_ONE },
	{ "readers", readers_block, reader_wait, readers_release,
	  rwlock_destroy, ALL_AT_ONCE },
	{ "writers", writers_block, writer_wait, writers_release,
	  rwlock_destroy, ALL_AT_ONCE },
	{ "event", event_block, event_wait, event_release, event_destroy, ALL_AT_ONCE },
	{ "automatic event", automatic_block, event_wait, event_release,
	  event_destroy, ONE_BY_ONE },
	{ "select", select_block, select_wait, event_release, select_destroy,
	  ONE_BY_ONE },
	{ "future", future_block, future_wait, future_release,
	  future_destroy, ALL_AT_ONCE },
	{ "barrier", barrier_block, barrier_wait, barrier_release,
	  barrier_destroy, BY_NUMBER },
	{ "gate", gate_block, gate_wait, gate_release, gate_destroy, ALL_AT_ONCE },
	{ "wait group", group_block, group_wait, group_release,
	  group_destroy, ALL_AT_ONCE },
	{ "send", send_block, send_wait, send_release, fifo_destroy,
	  ONE_BY_ONE },
	{ "receive", receive_block, receive_wait, receive_release,
	  fifo_destroy, ONE_BY_ONE },
};

#endif /* PIRN_TESTS_SYNC_KINDS_H */
