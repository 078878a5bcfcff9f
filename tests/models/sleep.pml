/* SPDX-License-Identifier: MIT */
/*
 * How a core of the library goes to sleep and who wakes it: sleep_unless() in
 * lib/host.c, with the letters of lib/mailbox.c and lib/foreign.c.
 *
 * Core A sends MESSAGES to core B through a mailbox of ROOM, and sleeps when it
 * is full. A thread that is no core gives B an item, and a device completes an op
 * for it. B sleeps when there is nothing. The kernel's part is ENTER and NOTIFY,
 * each one step under the channel's lock; wait.pml has what is inside.
 *
 * Checked: however stores are delayed and steps interleaved, all arrives. A wake
 * that is lost leaves a core asleep for ever, which ends the search as an
 * invalid end state.
 */
#define MESSAGES	3
#define ROOM		1
#define ITEMS		1
#define OPS		1

#define A		0
#define B		1
#define FOREIGN		2
#define THREADS		3

#define SEQ		0	/* messages published */
#define TAKEN		1	/* and taken out */
#define ITEM		2	/* of the list core->foreign, how many were pushed */
#define SLEEPING	3	/* of A; the next word is B's */
#define WORDS		5

#define AWAKE		0
#define SLEEPS		1
#define SLEEPS_STUCK	2

#include "x86.pml"

/* The channels. */
bool waiter[2], notified[2];
byte cqes;			/* published to B */

inline notify(t, core)
{
	atomic {
		empty(buffer[t]) ->
		if
		:: waiter[core] -> waiter[core] = false
		:: else -> notified[core] = true
		fi
	}
}

/* unread: whether the CQ is not empty */
inline enter(core, unread)
{
	atomic {
		empty(buffer[core]) ->
		if
		:: notified[core] -> notified[core] = false
		:: else ->
			if
			:: unread
			:: else -> waiter[core] = true
			fi
		fi
	}
	!waiter[core]
}

/* Of several that would wake a core only one does. */
inline wake(t, core)
{
	exchange(t, SLEEPING + core, AWAKE, old);
	if
	:: old != AWAKE -> notify(t, core)
	:: else
	fi
}

active proctype core_a()
{
	byte sent, old;

	do
	:: sent == MESSAGES -> break
	:: else ->
		if
		:: memory[TAKEN] + ROOM > sent ->
			sent++;
			store(A, SEQ, sent);				/* (A) */
			fence(A);					/* (C) */
			if
			:: memory[SLEEPING + B] != AWAKE -> wake(A, B)
			:: else
			fi
		:: else ->
			store(A, SLEEPING + A, SLEEPS_STUCK);
			fence(A);					/* (D) */
			if
			:: memory[TAKEN] + ROOM > sent
			:: else -> enter(A, false)
			fi;
			store(A, SLEEPING + A, AWAKE)
		fi
	od
}

active proctype core_b()
{
	byte got, items, ops, old;

#define NEWS (memory[SEQ] > got || memory[ITEM] > items || cqes > ops)
	do
	:: got == MESSAGES && items == ITEMS && ops == OPS -> break
	:: else ->
		/* a turn */
		ops = cqes;
		items = memory[ITEM];					/* (B) */
		if
		:: memory[SEQ] > got ->
			got++;
			store(B, TAKEN, got);
			fence(B);					/* (C), room */
			if
			:: memory[SLEEPING + A] == SLEEPS_STUCK -> wake(B, A)
			:: else
			fi
		:: else
		fi;
		if
		:: got == MESSAGES && items == ITEMS && ops == OPS
		:: else ->
			store(B, SLEEPING + B, SLEEPS);
			fence(B);					/* (D) */
			if
			:: NEWS
			:: else -> enter(B, cqes > ops)
			fi;
			store(B, SLEEPING + B, AWAKE)
		fi
	od
}

active proctype foreign()
{
	byte i, old;

	for (i : 1 .. ITEMS) {
		/* compare and swap, a locked instruction on x86 */
		exchange(FOREIGN, ITEM, i, old);			/* (A) */
		fence(FOREIGN);						/* (C) */
		if
		:: memory[SLEEPING + B] != AWAKE -> wake(FOREIGN, B)
		:: else
		fi
	}
}

active proctype device()
{
	byte i;

	for (i : 1 .. OPS) {
		atomic { cqes++; waiter[B] = false }
	}
}
