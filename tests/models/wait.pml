/* SPDX-License-Identifier: MIT */
/*
 * Asleep in ENTER: pirn_wait() and pirn_notify() of kmod/wait.c, with a watched
 * file, on the scheduler's rules.
 *
 * A thread waits again and again; another sends NOTES with NOTIFY, a completion
 * is the same; a third makes the watched file readable WRITES times. Between two
 * waits the thread looks at both, as a core does.
 *
 * Checked: all arrives, or the thread sleeps for ever, an invalid end state; and
 * nobody touches the waiter, which is on the thread's stack, after it has left.
 */
#define NOTES		2
#define WRITES		2

#define WAITS		0
#define NOTIFIES	1
#define WRITES_FILE	2
#define THREADS		3

#define CHANNEL_LOCK	0
#define QUEUE_LOCK	1	/* of the wait queue of the watched file */
#define NOTE		2	/* what the notifier has to tell */
#define READABLE	3	/* bytes in the watched file */
#define WOKEN		4	/* waiter.woken */
#define TRIGGERED	5	/* poll_wqueues.triggered */
#define STATE		6	/* of the waiting task */
#define WORDS		7

#define RUNNING		0
#define INTERRUPTIBLE	1

#include "x86.pml"

bool waiter, notified;		/* under CHANNEL_LOCK */
bool queued;			/* under QUEUE_LOCK */
bool on_stack;			/* the waiter is there */

/* Takes the task's lock: a full barrier before it looks at the state. */
inline wake_up_process(t)
{
	atomic {
		empty(buffer[t]) ->
		if
		:: memory[STATE] == INTERRUPTIBLE -> memory[STATE] = RUNNING
		:: else
		fi
	}
}

/* Takes the run queue's lock, and sleeps unless the state says otherwise. */
inline schedule(t)
{
	empty(buffer[t]);
	memory[STATE] == RUNNING
}

inline vfs_poll(t)
{
	if
	:: !queued ->
		lock(t, QUEUE_LOCK);
		queued = true;
		unlock(t, QUEUE_LOCK)
	:: else
	fi;
	ready = memory[READABLE] > 0
}

inline watch_ready(t)
{
	store(t, TRIGGERED, 0);
	fence(t);							/* (a) */
	vfs_poll(t)
}

inline wait_with(t)
{
	do
	:: watch_ready(t);
		if
		:: ready -> break
		:: else
		fi;
		store(t, STATE, INTERRUPTIBLE);
		fence(t);						/* (b) */
		if
		:: memory[WOKEN] == 0 && memory[TRIGGERED] == 0 -> schedule(t)
		:: else
		fi;
		store(t, STATE, RUNNING);
		fence(t);	/* for the next look at the state, not needed */
		if
		:: memory[WOKEN] == 1 -> break
		:: else
		fi
	od;
	lock(t, CHANNEL_LOCK);
	if
	:: memory[WOKEN] == 0 -> waiter = false
	:: else
	fi;
	notified = false;
	unlock(t, CHANNEL_LOCK);
	on_stack = false;
	/* poll_freewait() */
	lock(t, QUEUE_LOCK);
	queued = false;
	unlock(t, QUEUE_LOCK)
}

active proctype waits()
{
	byte notes, bytes;
	bool ready;

	do
	:: notes == NOTES && bytes == WRITES -> break
	:: else ->
		lock(WAITS, CHANNEL_LOCK);
		if
		:: notified ->
			notified = false;
			unlock(WAITS, CHANNEL_LOCK)
		:: else ->
			on_stack = true;
			memory[WOKEN] = 0;
			waiter = true;
			unlock(WAITS, CHANNEL_LOCK);
			wait_with(WAITS)
		fi;
		/* user space: what there is to see */
		notes = memory[NOTE];
		lock(WAITS, QUEUE_LOCK);
		bytes = bytes + memory[READABLE];
		memory[READABLE] = 0;
		unlock(WAITS, QUEUE_LOCK)
	od
}

active proctype notifies()
{
	byte i;

	for (i : 1 .. NOTES) {
		store(NOTIFIES, NOTE, i);
		lock(NOTIFIES, CHANNEL_LOCK);
		if
		:: waiter ->
			waiter = false;
			store(NOTIFIES, WOKEN, 1);
			wake_up_process(NOTIFIES);
			assert(on_stack)
		:: else -> notified = true
		fi;
		unlock(NOTIFIES, CHANNEL_LOCK)
	}
}

active proctype writes_file()
{
	byte i;

	for (i : 0 .. WRITES) {
		lock(WRITES_FILE, QUEUE_LOCK);
		if
		:: i == 0	/* what woke is taken by another reader */
		:: else -> store(WRITES_FILE, READABLE, memory[READABLE] + 1)
		fi;
		if
		:: queued ->
			store(WRITES_FILE, TRIGGERED, 1);
			wake_up_process(WRITES_FILE)
		:: else
		fi;
		unlock(WRITES_FILE, QUEUE_LOCK)
	}
}
